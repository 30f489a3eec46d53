"""The rooms of the package: small folders, and faces that name what they offer."""

import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import sageturner_magic

ROOT = Path(sageturner_magic.__file__).parent
FOLDERS = sorted({path.parent for path in ROOT.rglob("*.py")})
FACES = [
    folder for folder in FOLDERS if "import face\n" in (folder / "__init__.py").read_text("utf-8")
]


def name_of(folder: Path) -> str:
    return ".".join(("sageturner_magic", *folder.relative_to(ROOT).parts))


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_folder_has_a_docstring_and_at_most_fifteen_modules(folder: Path) -> None:
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
    assert len(list(folder.glob("[!_]*.py"))) <= 15


def test_no_module_has_more_than_400_lines() -> None:
    lines = {path: len(path.read_bytes().splitlines()) for path in ROOT.rglob("*.py")}
    assert {str(path): count for path, count in lines.items() if count > 400} == {}


@pytest.mark.parametrize("folder", FACES, ids=name_of)
def test_a_face_offers_what_it_names(folder: Path) -> None:
    face = import_module(name_of(folder))
    names = dir(face)
    tree = ast.walk(ast.parse((folder / "__init__.py").read_text("utf-8")))
    imports = [node for node in tree if isinstance(node, ast.ImportFrom) and node.level]
    assert names == sorted(alias.name for node in imports for alias in node.names)
    for name in names:
        assert not (folder / f"{name}.py").exists(), f"{name} is a module, too"
        assert not (folder / name).exists(), f"{name} is a folder, too"
        assert getattr(face, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        face.nonsense  # noqa: B018


def test_a_face_imports_only_what_is_asked_for() -> None:
    code = (
        "import sys; from sageturner_magic.image import BuildSpec;"
        "print([m for m in sys.modules if m.startswith('sageturner_magic.image.')])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "['sageturner_magic.image.spec']\n"


FUNCTION = (
    "try: sageturner_magic.invoke('nothing', 1)\nexcept sageturner_magic.SageturnerError: pass\n"
)
COMMAND = "from sageturner_magic import cli\nassert cli.main(['invoke', 'nothing', '1']) == 2\n"


@pytest.mark.parametrize("invoke", [FUNCTION, COMMAND], ids=["function", "command"])
def test_to_invoke_an_endpoint_loads_nothing_that_builds_images(
    invoke: str, tmp_path: Path
) -> None:
    code = (
        f"import sys, sageturner_magic\n{invoke}"
        "rooms = ('image.', 'packages.', 'capture.', 'deployment.', 'gpu.')\n"
        "wanted = tuple('sageturner_magic.' + room for room in rooms)\n"
        "loaded = [m for m in sys.modules if m.startswith(wanted) or m == 'docker']\n"
        "print([m for m in loaded if not hasattr(sys.modules[m], '__path__')])"
    )
    nowhere = {**os.environ, "SAGETURNER_STATE_DIR": str(tmp_path), "AWS_PROFILE": "nobody"}
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=nowhere
    )
    # A command that is told to end has to end.
    assert shown.stdout in ("[]\n", "['sageturner_magic.deployment.termination']\n")
