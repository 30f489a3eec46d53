"""A log without end leaves kernel and page responsive, memory flat and the notebook small."""

import time

import psutil
import pytest

from tests.browser.lab import KERNEL, NOTEBOOK, open_notebook, run_active, save, write

pytestmark = pytest.mark.browser

LINES = 100_000
CELLS = (
    "%load_ext sageturner_magic",
    f"""%%sageturner_load flood
import time
def load():
    for number in range({LINES}):
        print("line", number, "of a log that has much to say " * 3)
        if number % 1000 == 0:
            time.sleep(0.3)""",
    "%%sageturner_predict flood\ndef predict(model, request):\n    return request",
    "%%sageturner deploy --no-wait\nname: flood",
    "1 + 1",
)
RESPONSIVE_S = 5.0
MB = 1_000_000


def kernel_of(lab):
    """The process of the notebook's kernel."""
    (found,) = [
        process
        for process in psutil.process_iter(["cmdline"])
        if "ipykernel_launcher" in " ".join(process.info["cmdline"] or [])
        and str(lab.root.parent) in " ".join(process.info["cmdline"])
    ]
    return found


def heap(page):
    """Bytes of the page's live objects."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    return page.evaluate("performance.memory.usedJSHeapSize")


def lag(page):
    """Seconds that the page takes for what should take none."""
    begin = time.monotonic()
    page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))")
    return time.monotonic() - begin


def test_a_hundred_thousand_log_lines_in_a_minute(lab, page):
    write(lab.root / "flood.ipynb", *CELLS)
    open_notebook(page, lab, "flood.ipynb", kernel=True)
    for place in range(4):
        page.evaluate(f"{NOTEBOOK}.activeCellIndex = {place}")
        run_active(page)
    begin = time.monotonic()
    page.get_by_text("Log", exact=True).click()
    page.wait_for_selector("text=line 9", state="attached")
    kernel = kernel_of(lab)
    memory, objects = kernel.memory_info().rss, heap(page)
    page.evaluate(f"{NOTEBOOK}.activeCellIndex = 4")
    while page.get_by_text("flood answers at").count() == 0:
        assert time.monotonic() - begin < 60, "the lines took more than a minute"
        assert lag(page) < RESPONSIVE_S
        asked = time.monotonic()
        run_active(page)
        assert time.monotonic() - asked < RESPONSIVE_S
    assert page.evaluate(f"{KERNEL}.status") == "idle"
    assert kernel.memory_info().rss - memory < 30 * MB
    assert heap(page) - objects < 30 * MB
    save(page)
    assert (lab.root / "flood.ipynb").stat().st_size < 200_000
