"""The example notebooks, run in an environment that has what their `%pip install` cells ask for.

The environment is made once, outside the checkout. Where this machine has a PyTorch without CUDA
among its own wheels, that is taken, and the Python that it is for.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import nbformat
import uv
from filelock import FileLock
from nbclient import NotebookClient
from nbformat import NotebookNode

from sageturner_magic.image.machine import pip_configuration
from tests.parts.base_image import interpreter
from tests.parts.folder import cache_folder

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "example_notebooks"
CELL_SECONDS = 600
LAST = "## Clean up"
"""The heading before which a test's own cell is put."""


def wanted_packages() -> list[str]:
    """What the notebooks install."""
    lines = [
        line
        for path in sorted(NOTEBOOKS.glob("*.ipynb"))
        for cell in nbformat.read(path, as_version=4).cells
        for line in cell.source.splitlines()
        if line.startswith("%pip install ")
    ]
    words = {word for line in lines for word in line.removeprefix("%pip install ").split()}
    return sorted(word for word in words if not word.startswith("-"))


def environment_python() -> Path:
    """The interpreter of the notebooks' environment, which is made if need be."""
    links = pip_configuration().get("find-links", "").split()
    found = _own_torch(links)
    version, torch = found or (f"{sys.version_info[0]}.{sys.version_info[1]}", "")
    base = interpreter(version) if found else Path(sys.executable)
    packages = wanted_packages()
    identity = json.dumps([str(base), torch, packages, (ROOT / "pyproject.toml").read_text()])
    place = cache_folder() / f"examples-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    python = place / "bin" / "python"
    with FileLock(f"{place}.lock"):
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            _uv("venv", "--quiet", "--seed", "--python", str(base), str(place))
            options = [f"--find-links={link}" for link in links]
            exact = [torch] if torch else ["--torch-backend=cpu"]
            _uv("pip", "install", "--quiet", "--python", str(python), *options, *exact, *packages)
            (place / "complete").touch()
        # Of this checkout; the environment outlives it.
        _uv("pip", "install", "--quiet", "--python", str(python), "--editable", f"{ROOT}[demo]")
    return python


def _own_torch(links: Iterable[str]) -> tuple[str, str] | None:
    """The Python version and the requirement of a local wheel of PyTorch without CUDA."""
    for link in links:
        for wheel in sorted(Path(link).glob("torch-*+cpu-cp3*.whl"), reverse=True):
            name = re.match(r"torch-([^-]+)-cp3(\d+)-", wheel.name)
            if name:
                return f"3.{name[2]}", f"torch=={name[1]}"
    return None


def _uv(*arguments: str) -> None:
    environment = {"UV_SYSTEM_CERTS": "true", **os.environ}
    command = [uv.find_uv_bin(), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"uv {arguments[0]}: {done.stderr[-3000:]}")


def run_example(
    name: str,
    folder: Path,
    python: Path,
    *,
    check: str,
    changes: Mapping[str, str] | None = None,
    without: Iterable[str] = (),
) -> NotebookNode:
    """Execute a notebook as it is in the repository, in `folder`, and `check` before its end.

    Args:
        name: Its file name without `.ipynb`.
        check: Code that sees the notebook's variables.
        changes: What is written differently in its code cells; each has to be there.
        without: Code cells that hold one of these are left out.

    Raises:
        CellExecutionError: A cell failed.
    """
    if (NOTEBOOKS / name).is_dir():
        ignored = shutil.ignore_patterns("model", "__pycache__")
        shutil.copytree(NOTEBOOKS / name, folder / name, ignore=ignored)
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    notebook.cells = [
        cell
        for cell in notebook.cells
        if cell.cell_type != "code" or not any(text in cell.source for text in without)
    ]
    for old, new in (changes or {}).items():
        changed = [
            cell for cell in notebook.cells if cell.cell_type == "code" and old in cell.source
        ]
        assert changed, f"{name} has no {old!r}"
        for cell in changed:
            cell.source = cell.source.replace(old, new)
    (end,) = (n for n, cell in enumerate(notebook.cells) if cell.source.endswith(LAST))
    notebook.cells.insert(end, nbformat.v4.new_code_cell(check))
    execute(notebook, folder, python)
    return notebook


def execute(notebook: NotebookNode, folder: Path, python: Path) -> None:
    """Run all cells in `folder` with a kernel of `python`. Raises CellExecutionError."""
    kernels = folder / "jupyter" / "kernels" / "examples"
    kernels.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernels / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "examples"}))
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="examples",
        resources={"metadata": {"path": str(folder)}},
    )
    environment = {
        **os.environ,
        "IPYTHONDIR": str(folder / "ipython"),
        # Models that share two processors with tests are fastest with a thread each.
        "OMP_NUM_THREADS": "1",
    }
    client.create_kernel_manager().kernel_spec_manager.kernel_dirs = [str(kernels.parent)]
    client.execute(env=environment)
