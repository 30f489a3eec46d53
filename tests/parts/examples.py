"""The example notebooks and the pages, run where what their `%pip install` cells ask for is.

There are two, made once and outside the checkout: of those that install PyTorch, whose
CPU build not every machine can have (see `tests.parts.torch`), and of the others.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
import uv
from filelock import FileLock
from nbformat import NotebookNode

from sageturner_magic.packages.machine import pip_configuration
from tests.parts import runners
from tests.parts.base_image import interpreter
from tests.parts.folder import cache_folder
from tests.parts.pages import PAGES, page_cells
from tests.parts.torch import cpu_torch, missing

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "example_notebooks"
SECONDS = 1500
LAST = "## Clean up"
"""The heading before which a test's own cell is put."""
DEPLOY = "%%sageturner deploy"
NEWEST_PYTHON = (3, 12)
"""Of rapidocr-onnxruntime, which 03_image_to_text installs."""


def wanted_packages(sources: Iterable[str]) -> list[str]:
    """What the cells of a notebook or a page install."""
    lines = [
        line.removeprefix("%pip install ")
        for source in sources
        for line in source.splitlines()
        if line.startswith("%pip install ")
    ]
    return [word for line in lines for word in line.split() if not word.startswith("-")]


def _every() -> dict[str, list[str]]:
    """Name of each example notebook and page -> what it installs."""
    notebooks = {
        path.stem: [cell.source for cell in nbformat.read(path, as_version=4).cells]
        for path in NOTEBOOKS.glob("*.ipynb")
    }
    sources = {**notebooks, **{page.stem: page_cells(page) for page in PAGES}}
    return {name: wanted_packages(cells) for name, cells in sources.items()}


def environment_python(name: str) -> Path:
    """The interpreter of a notebook's or a page's environment, which is made if need be."""
    every = _every()
    if "torch" in every[name]:
        torch = cpu_torch()
        if torch is None:
            raise RuntimeError(missing())
        base, options = _interpreter(torch.python), torch.options
    else:
        python = min(sys.version_info[:2], NEWEST_PYTHON)
        base, options = _interpreter(".".join(map(str, python))), []
    same = [wanted for wanted in every.values() if ("torch" in wanted) == bool(options)]
    packages = sorted({word for wanted in same for word in wanted})
    identity = json.dumps([str(base), options, packages, (ROOT / "pyproject.toml").read_text()])
    place = cache_folder() / f"examples-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    python_there = place / "bin" / "python"
    with FileLock(f"{place}.lock"):
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            _uv("venv", "--quiet", "--seed", "--python", str(base), str(place))
            links = pip_configuration().get("find-links", "").split()
            places = [f"--find-links={link}" for link in links]
            _install(python_there, *places, *options, *packages, "--editable", f"{ROOT}[demo]")
            (place / "complete").touch()
        # The environment outlives its checkout.
        _install(python_there, "--no-deps", "--editable", str(ROOT))
    return python_there


def _interpreter(version: str) -> Path:
    current = ".".join(map(str, sys.version_info[:2]))
    return Path(sys.executable) if version == current else interpreter(version)


def _install(python: Path, *arguments: str) -> None:
    _uv("pip", "install", "--quiet", "--python", str(python), *arguments)


def _uv(*arguments: str) -> None:
    environment = {"UV_SYSTEM_CERTS": "true", **os.environ}
    command = [uv.find_uv_bin(), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"uv {arguments[0]}: {done.stderr[-3000:]}")


@dataclass(frozen=True)
class Again:
    """What a notebook does a second time, from its deployment to its end.

    Attributes:
        changes: What its cells say differently then; each has to be there.
        between: A line of code that ends the first one, so that its name is free.
    """

    changes: Mapping[str, str]
    between: str


def run_example(
    name: str,
    folder: Path,
    *,
    runner: str,
    check: str,
    changes: Mapping[str, str] | None = None,
    without: Iterable[str] = (),
    again: Again | None = None,
) -> None:
    """Execute a notebook as it is in the repository, in `folder`, and `check` before its end.

    Args:
        name: Its file name without `.ipynb`.
        runner: One of `tests.parts.runners`.
        check: Code that sees the notebook's variables.
        changes: What is written differently in its code cells; each has to be there.
        without: Code cells that hold one of these are left out.
        again: Deploy, use and `check` once more before the end, otherwise.

    Raises:
        RuntimeError: A cell failed.
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
    _change(name, notebook.cells, changes or {})
    (end,) = (n for n, cell in enumerate(notebook.cells) if cell.source.endswith(LAST))
    inserted = [nbformat.v4.new_code_cell(check)]
    if again:
        deploy = next(n for n, cell in enumerate(notebook.cells) if DEPLOY in cell.source)
        used = [
            nbformat.v4.new_code_cell(cell.source)
            for cell in notebook.cells[deploy:end]
            if cell.cell_type == "code"
        ]
        _change(name, used, again.changes)
        inserted += [nbformat.v4.new_code_cell(again.between), *used]
        inserted.append(nbformat.v4.new_code_cell(check))
    notebook.cells[end:end] = inserted
    execute(notebook, folder, environment_python(name), runner)


def _change(name: str, cells: Iterable[NotebookNode], changes: Mapping[str, str]) -> None:
    for old, new in changes.items():
        changed = [cell for cell in cells if cell.cell_type == "code" and old in cell.source]
        assert changed, f"{name} has no {old!r}"
        for cell in changed:
            cell.source = cell.source.replace(old, new)


def execute(notebook: NotebookNode, folder: Path, python: Path, runner: str = "nbclient") -> None:
    """Run all cells in `folder` with a kernel of `python`. RuntimeError where a cell fails."""
    kernels = folder / "jupyter" / "kernels" / "examples"
    kernels.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": argv, "display_name": "examples", "language": "python"}
    (kernels / "kernel.json").write_text(json.dumps(kernel))
    notebook.metadata["kernelspec"] = {"name": "examples", "display_name": "examples"}
    given = folder / "given.ipynb"
    nbformat.write(notebook, given)
    environment = {
        **os.environ,
        "JUPYTER_PATH": str(folder / "jupyter"),
        "IPYTHONDIR": str(folder / "ipython"),
        # Commands of the environment, as a notebook's user has them.
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        # Models that share two processors with tests are fastest with a thread each.
        "OMP_NUM_THREADS": "1",
    }
    made = folder / "made.ipynb"
    done = runners.run(
        runner, given, made, kernel="examples", environment=environment, seconds=SECONDS
    )
    if done.returncode:
        raise RuntimeError(f"{runner}: {done.stderr[-6000:] or done.stdout[-6000:]}")
