"""The server's packages and the user's never meet."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import venv
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import uv

from .conftest import SERVER, Server, listening_socket

OWN = ("httptools", "uvloop", "orjson")


def closure(names: tuple[str, ...]) -> set[str]:
    """The distributions `names` and all that they require here."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        try:
            required = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # Of another platform or Python.
        if name not in found:
            found.add(name)
            plain = [line for line in required if "extra ==" not in line]
            waiting += [re.split(r"[^\w.-]", line)[0] for line in plain]
    return found


def installed(names: tuple[str, ...]) -> set[Path]:
    """The files and folders in site-packages of `names` and of all that they require."""
    found = set()
    for name in closure(names):
        for file in importlib.metadata.files(name) or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__"):
                root = str(file.locate())[: -len(str(file))]
                found.add(Path(root) / top)
    return found


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's own dependencies in a folder, as an image has them."""
    folder = tmp_path_factory.mktemp("packages")
    for source in installed(OWN):
        (folder / source.name).symlink_to(source)
    return folder


@pytest.fixture(scope="module")
def hostile_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's interpreter whose packages of the same names are of no use to the server."""
    root = tmp_path_factory.mktemp("venv")
    venv.create(root, with_pip=False, symlinks=True)
    (site,) = root.glob("lib/python3*/site-packages")
    for name in OWN:
        (site / f"{name}.py").write_text(f"mine = 'the {name} of the user'\n")
    (site / "user.pth").write_text("import os; os.environ['USER_PTH'] = 'ran'\n")
    return root / "bin" / "python"


PROGRAM = """
import os, sys
import httptools, orjson

def load():
    return [httptools.mine, orjson.mine, os.environ["USER_PTH"]]

def predict(model, request):
    files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
    return {"model": model, "path": sys.path, "files": files, "uvloop": "uvloop" in sys.modules}
"""


def run(
    python: Path, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> Server:
    monkeypatch.setattr(sys, "executable", str(python))
    (tmp_path / "sageturner.py").write_text(program)
    with listening_socket() as listener:
        environment = {"SAGETURNER_PACKAGES": str(packages)}
        return Server(tmp_path, tmp_path / "log", listener, environment, SERVER)


def test_any_version_of_a_package_that_the_server_uses_works_in_user_code(
    hostile_python: Path, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = run(hostile_python, packages, tmp_path, monkeypatch, PROGRAM)
    try:
        server.ready()
        said = server.invoke({}).json
        assert said["model"] == [
            "the httptools of the user", "the orjson of the user", "ran",
        ]  # fmt: skip
        assert str(packages) not in said["path"]
        assert not [file for file in said["files"] if file.startswith(str(packages))]
        assert not said["uvloop"]
        assert server.request("GET", "/openapi.json").status == 200
    finally:
        server.close()


OLD = (
    "orjson<3.11", "orjson<3.9; python_version < '3.12'",
    "httptools<0.7", "httptools<0.6; python_version < '3.12'",
)  # fmt: skip
"""What a program of 2022 may pin, as far as there are wheels for this Python."""

NEW = ("orjson", "httptools")

PINNED = """
from importlib.metadata import version
import httptools, orjson

def load():
    return {name: version(name) for name in NAMES}

def predict(model, request):
    if request == "versions":
        return model
    return orjson.loads(orjson.dumps(request))
"""


@pytest.fixture(scope="session")
def pinned_python(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[str, ...]], Path]:
    """Makes interpreters that have real packages as they are pinned, each once."""

    @cache
    def make(pins: tuple[str, ...]) -> Path:
        root = tmp_path_factory.mktemp("pinned")
        venv.create(root, with_pip=False, symlinks=True)
        python = root / "bin" / "python"
        command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--python", python]
        command += ["--only-binary", ":all:", *pins]
        environment = {"UV_SYSTEM_CERTS": "true", **os.environ}
        subprocess.run(command, env=environment, check=True, timeout=300)
        return python

    return make


@pytest.mark.parametrize("pins", [OLD, NEW], ids=["old", "new"])
def test_real_pins_of_the_servers_own_packages_work_in_user_code(
    pins: tuple[str, ...],
    pinned_python: Callable[[tuple[str, ...]], Path],
    packages: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = f"NAMES = {NEW!r}\n{PINNED}"
    server = run(pinned_python(pins), packages, tmp_path, monkeypatch, program)
    try:
        said = server.ready().invoke("versions").json
        if pins is OLD:
            ours = {name: importlib.metadata.version(name) for name in NEW}
            assert not said.items() & ours.items()
        assert server.invoke({"x": 1}).json == {"x": 1}
        assert server.request("GET", "/docs").status == 200
        assert server.request("GET", "/openapi.json").status == 200
    finally:
        server.close()


def test_a_worker_takes_orjson_from_the_servers_packages_and_nothing_else(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "venv"
    venv.create(root, with_pip=False, symlinks=True)
    program = """
import importlib.util, sys
def load(): return None
def predict(model, request):
    return ["orjson" in sys.modules, importlib.util.find_spec("httptools") is None]
"""
    server = run(root / "bin" / "python", packages, tmp_path, monkeypatch, program)
    try:
        assert server.ready().invoke({}).json == [True, True]
    finally:
        server.close()


def test_the_server_needs_nothing_but_the_standard_library_to_say_what_is_wrong(
    tmp_path: Path,
) -> None:
    root = tmp_path / "venv"
    venv.create(root, with_pip=False, symlinks=True)
    command = [root / "bin" / "python", SERVER / "__main__.py", "serve"]
    environment = {**os.environ, "SAGETURNER_PORT": "0", "SAGETURNER_PROGRAM_DIR": str(tmp_path)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert result.returncode == 2
    assert "httptools" in result.stderr and "Traceback" not in result.stderr
