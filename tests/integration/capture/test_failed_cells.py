"""What is left of cells that failed, in a real kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

CELLS = (
    "%load_ext sageturner_magic",
    """

def double(x):
    return 2 * x

OFFSET = 1
missing
OFFSET = 2

def double(x):
    return 0""",
    """\
%%sageturner_load echo
SCALE = 3
1 / 0
SCALE = 4
def load():
    return 0""",
    """\
%%sageturner_load echo
def load():
    return double(SCALE) + OFFSET""",
    """\
%matplotlib nothing_of_this_name
OFFSET = 5""",
    """\
%%sageturner_predict echo
def predict(model, request):
    return model""",
    "%sageturner code echo",
    "(double(SCALE) + OFFSET)",
)


def test_what_ran_before_a_cell_failed_is_captured_and_what_did_not_run_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=True).execute()
    failed = [
        any(output.output_type == "error" for output in cell.outputs) for cell in notebook.cells
    ]
    assert failed == [False, True, True, False, True, False, False, False], notebook
    *_, code, answer = notebook.cells
    shown = code.outputs[0].data["text/plain"]
    assert "def double(x):\n    return 2 * x\n" in shown and "return 0" not in shown
    assert [line for line in shown.splitlines() if line[:6] in ("OFFSET", "SCALE ")] == [
        "OFFSET = 1",
        "SCALE = 3",
    ]
    assert answer.outputs[0].data["text/plain"] == "7"
