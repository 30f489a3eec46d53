"""Notebooks run without a person: nbclient, papermill and `jupyter execute`."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

QUICKSTART = Path(__file__).parents[2] / "example_notebooks" / "01_quickstart.ipynb"

NBCLIENT = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""
RUNNERS = {
    "nbclient": lambda given, made: [sys.executable, "-c", NBCLIENT, given, made],
    "papermill": lambda given, made: [
        *(sys.executable, "-m", "papermill", given, made),
        *("--kernel", "python3", "--no-progress-bar"),
    ],
    "jupyter-execute": lambda given, made: [
        *(sys.executable, "-m", "jupyter", "execute", given, f"--output={made}"),
        "--kernel_name=python3",
    ],
}
runners = pytest.mark.parametrize("runner", RUNNERS.values(), ids=RUNNERS)


@pytest.fixture(autouse=True)
def own_environment(state, monkeypatch, tmp_path):
    """The kernel of this environment, and nobody's settings."""
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


def run(runner, notebook, folder):
    made = folder / "made.ipynb"
    done = subprocess.run(
        runner(str(notebook), str(made)), capture_output=True, text=True, cwd=folder, timeout=300
    )
    return done, made


@runners
def test_the_quickstart_runs(runner, tmp_path):
    done, made = run(runner, QUICKSTART, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "accuracy: 0.9" in made.read_text()


@runners
def test_a_cell_that_fails_fails_the_run(runner, tmp_path):
    sources = (
        "%load_ext sageturner_magic",
        "%%sageturner_load broken\ndef load():\n    raise ValueError('no such shard')",
        "%%sageturner_predict broken\ndef predict(model, request):\n    return request",
        "%%sageturner deploy\nname: broken",
        "print('never reached')",
    )
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "broken.ipynb")
    done, made = run(runner, tmp_path / "broken.ipynb", tmp_path)
    assert done.returncode != 0
    assert "no such shard" in done.stderr + done.stdout
    if made.exists():
        # What a runner leaves ends with the cell that failed.
        last = nbformat.read(made, as_version=4).cells[-1]
        assert last.outputs == []
