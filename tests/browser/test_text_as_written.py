"""Text of others and amounts of money in a page that looks for formulas: shown as written."""

import contextlib
import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.kernels import NEWEST
from tests.browser.lab import browser_page, open_notebook, run_all, write
from tests.conftest import MATHJAX_2

pytestmark = pytest.mark.browser

NOTES = (
    "from $5 to $7 each",
    r"\(a\) and \[b\]",
    r"$$c$$ or \$d$",
    r"\begin{x}e\end{x}",
    r"C:\(new) f\)",
    "**g** _h_ `i`",
)
WHERE_TEXT_IS_SHOWN = (
    "%load_ext sageturner_magic",
    """%%sageturner_load money
def load():
    return None""",
    f"""%%sageturner_predict money
NOTES = {NOTES!r}

def predict(model, request):
    \"\"\"The notes as a table, as facts, nested and with their names as keys.\"\"\"
    shapes = {{
        "records": [{{"note": note, note: "$"}} for note in NOTES],
        "facts": dict(enumerate(NOTES)) | dict(zip(NOTES, "$$$$$$")),
        "nested": {{"notes": [{{"note": note}} for note in NOTES], "$a$": {{"$b$": ["$c$"]}}}},
        "plain": list(NOTES),
    }}
    if request == "stream":
        return (note for note in NOTES)
    return shapes[request]""",
    "%%sageturner deploy\nname: money",
    '%sageturner invoke money "records"',
    '%sageturner invoke money "facts"',
    '%sageturner invoke money "nested"',
    '%sageturner invoke money "plain"',
    '%sageturner invoke money --stream "stream"',
    '%sageturner try money "records"',
    """\
from sageturner_magic.endpoints import EndpointDescription
from sageturner_magic.endpoints.kind import Price
from sageturner_magic.endpoints.measured import Dashboard
from sageturner_magic.notebook.display.html import dashboard_shown, endpoints_shown
rich = [
    EndpointDescription(name, "server", "InService", "0" * 12, 0.0, "$A and $B", "", 5.25, "$1 $2")
    for name in ("one", "two")
]
endpoints_shown(rich, 7200.0)""",
    "dashboard_shown(Dashboard(rich[0], None, Price(5.25, None), 7200.0))",
    # What a page does with text that nobody guards, and the sign that it has done so.
    'from IPython.display import HTML\nHTML("<p id=unguarded>from $5 to $7 each</p>")',
)


@pytest.mark.parametrize(
    "lab", [("lab", NEWEST), ("notebook", NEWEST)], indirect=True, ids=["lab", "notebook"]
)
def test_dollars_backslashes_and_markdown_are_shown_as_they_were_written(lab, page):
    write(lab.root / "money.ipynb", *WHERE_TEXT_IS_SHOWN)
    open_notebook(page, lab, "money.ipynb", kernel=True)
    # All cells are drawn, also those that are out of sight.
    page.set_viewport_size({"width": 1100, "height": 6000})
    run_all(page)
    page.locator("mjx-container").first.wait_for(state="attached")
    assert_as_written(page, "mjx-container", ".jp-OutputArea-output")


@pytest.mark.mathjax
def test_they_are_in_the_page_that_nbconvert_makes_with_its_older_mathjax(tmp_path):
    write(tmp_path / "money.ipynb", *WHERE_TEXT_IS_SHOWN)
    environment = os.environ | {"HOME": str(tmp_path), "SAGETURNER_STATE_DIR": str(tmp_path / "s")}
    convert = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", "money.ipynb"]
    subprocess.run(convert, cwd=tmp_path, env=environment, check=True)
    made = (tmp_path / "money.html").read_text()
    with served(MATHJAX_2.parent) as scripts, served(tmp_path) as notebooks, browser_page() as page:
        mine, replaced = re.subn(r"https://[^\"']*/latest\.js", f"{scripts}/MathJax.js", made)
        assert replaced
        (tmp_path / "money.html").write_text(mine)
        page.goto(f"{notebooks}/money.html")
        page.locator(".MathJax, .mjx-chtml").first.wait_for(state="attached")
        assert_as_written(page, ".MathJax, .mjx-chtml", ".jp-OutputArea-output")


def assert_as_written(page, formula, outputs):
    """Only the text that nobody guards is a formula, and each note is there in each output."""
    assert page.locator(formula).count() == page.locator(f"#unguarded :is({formula})").count() > 0
    shown = [" ".join(each.split()) for each in page.locator(outputs).all_text_contents()]
    for note in NOTES:
        assert sum(note in each for each in shown) >= 5, (note, shown)
    assert sum("$5.25" in each for each in shown) >= 2, shown


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server over `folder`."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
