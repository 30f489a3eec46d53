"""The example notebooks in the repository: their outputs are of the code that they show."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from tools.notebook_outputs import KEY, LEFT_OVER, code_digest, tidy

NOTEBOOKS = sorted((Path(__file__).parents[2] / "example_notebooks").glob("*.ipynb"))


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestKept:
    def test_the_outputs_are_of_the_code_that_is_shown(self, path):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        ran = notebook.metadata.get(KEY, {}).get("code_sha256")
        assert ran == code_digest(notebook, path), (
            f"run it again: python tools/run_notebook.py --save {path}"
        )

    def test_it_ran_from_the_top_to_the_end_without_an_error(self, path):
        cells = code_cells(nbformat.read(path, as_version=4))
        assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
        assert not [o for cell in cells for o in cell.outputs if o.output_type == "error"]

    def test_nothing_of_the_machine_that_ran_it_is_kept(self, path):
        notebook = nbformat.read(path, as_version=4)
        texts = [
            json.dumps({key: value for key, value in output.items() if key != "data"})
            + json.dumps(
                {kind: v for kind, v in output.get("data", {}).items() if "image/" not in kind}
            )
            for cell in code_cells(notebook)
            for output in cell.outputs
        ]
        assert not [found[0] for text in texts for found in LEFT_OVER.finditer(text)]

    def test_it_installs_in_one_cell_at_most_and_ends_by_cleaning_up(self, path):
        cells = code_cells(nbformat.read(path, as_version=4))
        assert sum("%pip" in cell.source for cell in cells) <= 1
        assert "%sageturner delete" in cells[-1].source


def notebook(*sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return nbformat.v4.new_notebook(cells=cells)


def test_the_digest_is_of_the_code_alone(tmp_path):
    path = tmp_path / "a.ipynb"
    ran = notebook("x = 1", "x")
    digest = code_digest(ran, path)
    ran.cells.insert(0, nbformat.v4.new_markdown_cell("Words"))
    ran.cells[1].outputs = [nbformat.v4.new_output("stream", text="hello")]
    assert code_digest(ran, path) == digest
    ran.cells[1].source = "x = 2"
    assert code_digest(ran, path) != digest


def test_the_digest_is_of_the_folder_beside_too_without_the_model_that_it_writes(tmp_path):
    path, folder = tmp_path / "a.ipynb", tmp_path / "a"
    (folder / "model").mkdir(parents=True)
    (folder / "code.py").write_text("1")
    digest = code_digest(notebook("x"), path)
    (folder / "model" / "weights").write_text("1")
    assert code_digest(notebook("x"), path) == digest
    (folder / "code.py").write_text("2")
    assert code_digest(notebook("x"), path) != digest


def test_what_belongs_to_the_machine_is_taken_out_of_outputs(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    ran = notebook("x")
    token = "0123456789abcdef" * 2
    shown = (
        f"http://127.0.0.1:41234/docs?token={token} 'Authorization: token {token}' {Path.home()}/a"
    )
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "bar"}
    ran.cells[0].outputs = [
        nbformat.v4.new_output("display_data", data={"text/html": shown, "text/plain": shown}),
        nbformat.v4.new_output("display_data", data=widget),
    ]
    tidy(ran, tmp_path / "a.ipynb")
    (kept,) = ran.cells[0].outputs
    for text in kept.data.values():
        assert not LEFT_OVER.search(text)
        assert text == "http://127.0.0.1:8000/docs?token=TOKEN 'Authorization: token TOKEN' ~/a"
