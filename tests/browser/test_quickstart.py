"""The quickstart as a person sees it: while it runs, and when it is opened again."""

import shutil
from pathlib import Path

import nbformat
import pytest

from tests.browser.lab import open_notebook, run_all, start_all

pytestmark = pytest.mark.browser

NOTEBOOKS = Path(__file__).parents[2] / "example_notebooks"

SLOW = (
    "%load_ext sageturner_magic",
    """%%sageturner_load slow
import time
def load():
    for shard in range(600):
        print("reading shard", shard)
        time.sleep(0.1)""",
    "%%sageturner_predict slow\ndef predict(model, request):\n    return request",
)


def write(path, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, path)


def test_the_quickstart_runs_and_reads_well_when_opened_again(lab, page):
    shutil.copy(NOTEBOOKS / "01_quickstart.ipynb", lab.root)
    open_notebook(page, lab, "01_quickstart.ipynb", kernel=True)
    run_all(page)
    assert page.get_by_text("accuracy: 0.9").count() == 1

    # A new page without a kernel shows what is in the file.
    saved = nbformat.read(lab.root / "01_quickstart.ipynb", as_version=4)
    saved.metadata["kernelspec"]["name"] = "no-such-kernel"
    nbformat.write(saved, lab.root / "again.ipynb")
    again = page.context.browser.new_page(viewport={"width": 1100, "height": 4500})
    open_notebook(again, lab, "again.ipynb", kernel=False)
    again.wait_for_selector(".jp-OutputArea-output img")
    shown = again.inner_text(".jp-Notebook")
    assert "model not found" not in shown.lower()
    assert "digits answers at http://127.0.0.1:" in shown
    assert "Load the model" in shown
    assert "accuracy: 0.9" in shown
    assert again.locator(".jp-OutputArea-output img").count() == 2


def test_progress_moves_and_the_stop_button_cancels(lab, page):
    write(lab.root / "slow.ipynb", *SLOW, "%%sageturner deploy\nname: slow")
    open_notebook(page, lab, "slow.ipynb", kernel=True)
    start_all(page)
    page.wait_for_selector(".sageturner-progress >> text=Load the model")
    page.get_by_text("Log", exact=True).click()
    page.wait_for_selector("text=reading shard 2")
    page.wait_for_selector("text=reading shard 9")
    page.click('[data-command="notebook:interrupt-kernel"]')
    page.wait_for_selector("text=The deployment was stopped")
    assert page.locator(".sageturner-progress").count() == 0


def test_the_cancel_button_works_while_the_kernel_is_free(lab, page):
    write(lab.root / "slow.ipynb", *SLOW, "%%sageturner deploy --no-wait\nname: slow")
    open_notebook(page, lab, "slow.ipynb", kernel=True)
    start_all(page)
    page.wait_for_selector("text=reading shard 2", state="attached")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("text=The deployment was stopped")
