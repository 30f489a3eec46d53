"""Compile bytecode for the image's Python with an interpreter of that version."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import uv

from sageturner_magic.constants import THIS_PYTHON
from sageturner_magic.errors import ImageError


@dataclass(frozen=True)
class Interpreter:
    """A CPython on this machine.

    Attributes:
        path: Its program.
        version: In full (`3.12.1`).
    """

    path: str
    version: str

    @property
    def tag(self) -> str:
        """What its bytecode files are called (`cpython-312`)."""
        major, minor, *_ = self.version.split(".")
        return f"cpython-{major}{minor}"


@cache
def interpreter(python_version: str) -> Interpreter | None:
    """An interpreter of that major and minor version, or None if there is none here."""
    for path in _candidates(python_version):
        found = _inspected(path)
        if found and found.version.startswith(f"{python_version}."):
            return found
    return None


def _candidates(python_version: str) -> Iterator[str]:
    if python_version == THIS_PYTHON:
        yield sys.executable
    # pyenv's commands on the PATH answer only for the versions that are switched on.
    launcher = shutil.which("pyenv")
    installed = Path(launcher).resolve().parents[1] if launcher else Path.home() / ".pyenv"
    pyenv = Path(os.environ.get("PYENV_ROOT") or installed)
    for folder in sorted(pyenv.glob(f"versions/{python_version}.*")):
        yield str(folder / "bin" / "python")
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        found = subprocess.run(
            [uv.find_uv_bin(), "python", "find", "--no-python-downloads", python_version],
            capture_output=True,
            text=True,
            timeout=60,
        )
        if found.returncode == 0:
            yield found.stdout.strip()


def _inspected(path: str) -> Interpreter | None:
    ask = "import platform; print(platform.python_implementation(), platform.python_version())"
    try:
        answer = subprocess.run(
            [path, "-I", "-S", "-c", ask], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    name, _, version = answer.stdout.strip().partition(" ")
    return Interpreter(path, version) if name == "CPython" else None


class Compiler:
    """A running interpreter that compiles one module after the other; not shared by threads."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._tag = interpreter.tag
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
        }
        # Before Python 3.11 the order of a constant set depends on this; isolated mode (-I)
        # would not read it.
        environment["PYTHONHASHSEED"] = "0"
        source = Path(__file__).with_name("bytecode_worker.py").read_text()
        self._worker = subprocess.Popen(
            [interpreter.path, "-s", "-S", "-c", source],
            env=environment,
            cwd=Path(interpreter.path).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def close(self) -> None:
        """End the interpreter, also in the middle of a module."""
        self._worker.kill()
        assert self._worker.stdin and self._worker.stdout
        with contextlib.suppress(OSError):
            self._worker.stdin.close()
        self._worker.stdout.close()
        self._worker.wait()

    def path(self, module: str) -> str:
        """Where the bytecode of the module at `module` (`a/b.py`) belongs."""
        folder, slash, name = module.rpartition("/")
        return f"{folder}{slash}__pycache__/{name.removesuffix('.py')}.{self._tag}.pyc"

    def compile(self, module: str, source: bytes) -> bytes:
        """The bytecode of a module that will lie at `/module`; empty if it does not compile.

        Raises ImageError when the interpreter ends.
        """
        assert self._worker.stdin and self._worker.stdout
        path = os.fsencode(f"/{module}")
        try:
            self._worker.stdin.write(struct.pack(">II", len(path), len(source)) + path + source)
            self._worker.stdin.flush()
            length = struct.unpack(">I", self._worker.stdout.read(4))[0]
        except (OSError, struct.error):
            raise ImageError(
                f"{module} cannot be compiled",
                why="the interpreter that compiles ended",
                do="run it again; if it stays so, leave that package out",
                code="ST65",
            ) from None
        return self._worker.stdout.read(length)


class Compilers:
    """Compilers of one interpreter, as many as threads ask for at once, kept until the end."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter
        self._idle: queue.SimpleQueue[Compiler] = queue.SimpleQueue()

    @contextlib.contextmanager
    def borrow(self) -> Iterator[Compiler]:
        """A compiler for the block."""
        try:
            compiler = self._idle.get_nowait()
        except queue.Empty:
            compiler = Compiler(self.interpreter)
        try:
            yield compiler
        except BaseException:
            # It may be in the middle of an answer.
            compiler.close()
            raise
        self._idle.put(compiler)

    def close(self) -> None:
        """End all that are idle."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()
