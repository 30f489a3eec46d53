"""Whether a module imports in a clean interpreter, told in the user's own lines."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sageturner_magic.errors import CaptureError
from sageturner_magic.values import CapturedModule, Reporter

IMPORT_LIMIT_S = 180.0
"""Seconds that an import may take: a cold torch or tensorflow on a slow disk takes about 60."""

# Runs with the program folder as its working directory, which `-c` also puts first on the path.
# It ends with the process that started it: their pipe then closes.
_DRIVER = """
import json, os, sys, threading, traceback
def watch():
    sys.stdin.buffer.read()
    os._exit(3)
threading.Thread(target=watch, daemon=True).start()
answer = {"ok": True}
here = os.getcwd()
try:
    import sageturner
    missing = [n for n in ("load", "predict") if not callable(getattr(sageturner, n, None))]
    if missing:
        answer = {"ok": False, "type": "AttributeError", "name": None, "frames": [],
                  "message": "the module has no function " + " and no ".join(missing)}
except BaseException as error:
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) and error.filename:
        frames.append(traceback.FrameSummary(error.filename, error.lineno or 1, "<module>"))
    answer = {
        "ok": False, "type": type(error).__name__, "message": str(error),
        "name": getattr(error, "name", None),
        "frames": [[os.path.relpath(f.filename, here), f.lineno, f.name, f.line] for f in frames
                   if os.path.abspath(f.filename).startswith(here + os.sep)],
    }
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(answer, file)
os._exit(0)
"""


def check_module(
    module: CapturedModule,
    python: str,
    reporter: Reporter | None = None,
    *,
    limit_s: float = IMPORT_LIMIT_S,
) -> None:
    """Import `module` in a clean process of `python`, the interpreter that will serve.

    The process has nothing of the kernel's memory; the program folder is its working directory
    and first on its path. `__name__` is not `__main__` in it.

    Raises:
        CaptureError: The import failed or took longer than `limit_s` seconds.
        DeploymentCancelled: `reporter` says that the user wants to stop.
    """
    with tempfile.TemporaryDirectory(prefix="sageturner-") as temporary:
        program = Path(temporary, "program")
        _lay_out(module, program)
        answer_file = Path(temporary, "answer.json")
        output_file = Path(temporary, "output.txt")
        with output_file.open("wb") as output:
            process = subprocess.Popen(
                [python, "-c", _DRIVER, str(answer_file)],
                cwd=program,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                ended = _wait(process, limit_s, reporter)
            finally:
                _kill_tree(process)
        tail = output_file.read_text(errors="replace").splitlines()[-20:]
        if reporter is not None:
            for line in tail:
                reporter.log(line)
        if not ended:
            raise CaptureError(
                f"Importing the module takes longer than {limit_s:g} s",
                where=module.origin,
                do="move slow work (loading, downloading, training) into load()",
                details="\n".join(tail),
            )
        if not answer_file.exists():
            raise CaptureError(
                f"Importing the module ended Python ({_ending(process.returncode)})",
                where=module.origin,
                do="take out what ends the process when the code is imported",
                details="\n".join(tail),
            )
        answer = json.loads(answer_file.read_text(encoding="utf-8"))
    if not answer["ok"]:
        raise _import_failed(module, answer)


def _lay_out(module: CapturedModule, program: Path) -> None:
    """Write the module's files; what lies on disk is linked, because it may be large."""
    for file in module.files:
        target = program / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(file.content, bytes):
            target.write_bytes(file.content)
            continue
        try:
            target.symlink_to(file.content.resolve())
        except OSError:
            # Windows asks for a privilege to make links.
            shutil.copyfile(file.content, target)


def _wait(process: subprocess.Popen[bytes], limit_s: float, reporter: Reporter | None) -> bool:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        try:
            process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            if reporter is not None:
                reporter.checkpoint()
            continue
        return True
    return False


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        # What the import started belongs to the same process group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exit code {code}"


def _import_failed(module: CapturedModule, answer: dict[str, Any]) -> CaptureError:
    frames: list[list[Any]] = answer["frames"]
    where = _place(frames[-1][0], frames[-1][1], module) if frames else module.origin
    kind, missing = answer["type"], answer["name"]
    if kind == "ModuleNotFoundError" and missing:
        remedy = (
            f"install it where the model runs (add the package that has `{missing}` to"
            " `python_packages`), or put the module beside sageturner.py"
        )
    elif kind == "NameError" and missing:
        remedy = f"define `{missing}` in the captured code, above its first use"
    elif kind == "SystemExit":
        remedy = "take the exit out of the module's top level"
    else:
        remedy = "mend the line, or move it into load()"
    shown = "\n".join(
        f"  {_place(file, line, module)}, in {function}\n    {text}"
        for file, line, function, text in frames
    )
    return CaptureError(
        "The module cannot be imported in a clean Python",
        where=where,
        why=f"{kind}: {answer['message']}",
        do=remedy,
        details=shown,
    )


def _place(file: str, line: int, module: CapturedModule) -> str:
    if file == "sageturner.py" and line in module.lines:
        return str(module.lines[line])
    return f"{file}:{line}"


_FRAME = re.compile(r'File "(?:[^"\n]*[/\\])?sageturner\.py", line (\d+)')
_SHORT = re.compile(r"(?<![\w./\\-])(?:[\w./\\-]*[/\\])?sageturner\.py:(\d+)")


def user_frames(text: str | Sequence[str], module: CapturedModule) -> str:
    """`text` (a traceback, log lines) with lines of sageturner.py named by their cells.

    `File "/opt/program/sageturner.py", line 7` and `sageturner.py:7` become `In[3], line 2`;
    lines that were not copied from a cell stay as they are.
    """
    whole = text if isinstance(text, str) else "\n".join(text)

    def renamed(match: re.Match[str]) -> str:
        place = module.lines.get(int(match[1]))
        return str(place) if place is not None else match[0]

    return _SHORT.sub(renamed, _FRAME.sub(renamed, whole))
