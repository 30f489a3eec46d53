"""A notebook as a person sees it: while it runs, and when it is opened again."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from tests.browser.kernels import NEWEST
from tests.browser.lab import START_SECONDS, open_notebook, run_all, run_each, start_all, write
from tests.integration.conftest import servers_of, wait_until

pytestmark = pytest.mark.browser

NOTEBOOKS = Path(__file__).parents[2] / "example_notebooks"

MATRIX = [("lab", NEWEST), ("notebook", NEWEST), ("lab", "6.31"), ("lab", "7.3")]
everywhere = pytest.mark.parametrize(
    "lab", MATRIX, indirect=True, ids=[f"{app}-{version}" for app, version in MATRIX]
)

SLOW = (
    "%load_ext sageturner_magic",
    """%%sageturner_load
import time
def load():
    for shard in range(600):
        print("reading shard", shard)
        time.sleep(0.1)""",
    "%%sageturner_predict\ndef predict(model, request):\n    return request",
)


def nothing_runs(lab):
    return not servers_of(lab.state)


@everywhere
def test_the_quickstart_runs_cell_by_cell_and_reads_well_when_opened_again(lab, page):
    shutil.copy(NOTEBOOKS / "01_quickstart.ipynb", lab.root)
    open_notebook(page, lab, "01_quickstart.ipynb", kernel=True)
    run_each(page)
    expect(page.get_by_text("accuracy: 0.9")).to_have_count(1)

    # A copy that nobody has trusted, without a kernel, shows what is in the file.
    saved = nbformat.read(lab.root / "01_quickstart.ipynb", as_version=4)
    saved.metadata["kernelspec"]["name"] = "no-such-kernel"
    nbformat.write(saved, lab.root / "again.ipynb")
    again = page.context.browser.new_page(viewport={"width": 1100, "height": 4500})
    open_notebook(again, lab, "again.ipynb", kernel=False)
    pictures = again.locator(".jp-OutputArea-output img")
    # Cells that are out of sight are drawn when the page has time.
    expect(pictures).to_have_count(2, timeout=START_SECONDS * 1000)
    shown = again.inner_text(".jp-Notebook")
    assert "model not found" not in shown.lower()
    assert "digits answers at http://127.0.0.1:" in shown
    assert "Load the model" in shown
    assert "Send it from elsewhere" in shown
    assert "accuracy: 0.9" in shown


@everywhere
def test_progress_moves_and_the_stop_button_cancels(lab, page):
    write(lab.root / "stop.ipynb", *SLOW, "%%sageturner deploy\nname: slow")
    open_notebook(page, lab, "stop.ipynb", kernel=True)
    start_all(page)
    page.wait_for_selector(".sageturner-progress >> text=Load the model")
    page.get_by_text("Log", exact=True).click()
    page.wait_for_selector("text=reading shard 2")
    page.wait_for_selector("text=reading shard 39")
    hidden, below = page.evaluate(
        """() => {
            const tail = document.querySelector('.sageturner-tail');
            const seen = tail.getBoundingClientRect();
            const whole = tail.firstElementChild.getBoundingClientRect();
            return [whole.height - seen.height, whole.bottom - seen.bottom];
        }"""
    )
    # The oldest line has moved out of sight, the newest has not.
    assert hidden > 0 and abs(below) < 20
    page.get_by_text("press ■ to cancel").wait_for()
    page.click('[data-command="notebook:interrupt-kernel"]')
    page.wait_for_selector("text=The deployment was stopped")
    expect(page.locator(".sageturner-progress")).to_have_count(0)
    wait_until(lambda: nothing_runs(lab), what="the end of the server")


@everywhere
def test_the_cancel_button_works_while_the_kernel_is_free(lab, page):
    write(lab.root / "cancel.ipynb", *SLOW, "%%sageturner deploy --no-wait\nname: slow-too")
    open_notebook(page, lab, "cancel.ipynb", kernel=True)
    start_all(page)
    page.wait_for_selector("text=reading shard 2", state="attached")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("text=The deployment was stopped")
    wait_until(lambda: nothing_runs(lab), what="the end of the server")


RESULTS = (
    "%load_ext sageturner_magic",
    "%%sageturner_load echo\ndef load():\n    return None",
    """%%sageturner_predict echo
def predict(model, request):
    if "words" in request:
        return (word + " " for word in request["words"])
    return [{"label": "<img src=x onerror=alert(1)>", "box": [[1, 2], [3, 4]]}]""",
    "%%sageturner deploy\nname: echo",
    "%sageturner invoke echo {}",
    '%sageturner invoke --stream echo {"words": ["once", "upon", "a", "time"]}',
    "%sageturner load-test echo --requests 40 --concurrency 4 {}",
    "%sageturner status echo",
    "%sageturner list",
)


def test_results_are_shown_live_saved_untrusted_and_as_html(lab, page):
    write(lab.root / "results.ipynb", *RESULTS)
    open_notebook(page, lab, "results.ipynb", kernel=True)
    run_all(page)
    results = page.locator(".jp-OutputArea-output .sageturner")
    results.locator("svg").first.wait_for()
    expect(results.locator("svg")).to_have_count(4)
    page.get_by_text("Send it from elsewhere").first.click()
    page.get_by_text("curl http://127.0.0.1:").nth(1).wait_for()
    assert page.get_by_text("<img src=x onerror=alert(1)>").count() > 0
    assert "once upon a time" in page.inner_text(".jp-Notebook")

    path = lab.root / "results.ipynb"
    shutil.copy(path, lab.root / "copied.ipynb")
    copied = nbformat.read(lab.root / "copied.ipynb", as_version=4)
    copied.metadata["copied"] = True
    nbformat.write(copied, lab.root / "copied.ipynb")
    again = page.context.browser.new_page(viewport={"width": 1100, "height": 4500})
    open_notebook(again, lab, "copied.ipynb", kernel=False)
    again.wait_for_selector("text=Load test of echo")
    # Without scripts, styles and figures the numbers are still there.
    assert again.locator(".jp-OutputArea-output :is(svg, script)").count() == 0
    for words in ("p99", "40, 4 at a time", "Invocations", "once upon a time", "InService"):
        assert words in again.inner_text(".jp-Notebook")

    done = subprocess.run(
        [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", str(path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    # Its own page wants scripts of elsewhere, which our part does without.
    alone = page.context.browser.new_context(offline=True).new_page()
    alone.goto(path.with_suffix(".html").as_uri())
    for words in ("p99", "40, 4 at a time", "Invocations", "once upon a time", "InService"):
        assert words in alone.inner_text("body")
    assert path.stat().st_size < 200_000
