"""Notebooks run without a person: nbclient, papermill and `jupyter execute`.

The quickstart runs by all three. The others take a minute and more each, so they are spread:
tests/integration/test_examples.py runs each by one of them, tests/aws/test_examples.py by
another.
"""

from pathlib import Path

import nbformat
import pytest

from tests.parts.runners import RUNNERS, run

QUICKSTART = Path(__file__).parents[3] / "example_notebooks" / "01_quickstart.ipynb"

runners = pytest.mark.parametrize("runner", RUNNERS)


@pytest.fixture(autouse=True)
def own_environment(state, monkeypatch, tmp_path):
    """The kernel of this environment, and nobody's settings."""
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


@runners
def test_the_quickstart_runs(runner, tmp_path):
    made = tmp_path / "made.ipynb"
    done = run(runner, QUICKSTART, made)
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
    made = tmp_path / "made.ipynb"
    done = run(runner, tmp_path / "broken.ipynb", made)
    assert done.returncode != 0
    assert "no such shard" in done.stderr + done.stdout
    if made.exists():
        # What a runner leaves ends with the cell that failed.
        last = nbformat.read(made, as_version=4).cells[-1]
        assert last.outputs == []
