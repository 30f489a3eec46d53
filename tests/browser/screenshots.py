"""Takes the pictures of `docs/images/`: `make screenshots`."""

import os
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.lab import browser_page, jupyter_lab, open_notebook, run_all

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"


def quickstart(page: Page) -> None:
    """From capturing to the first prediction, as the README shows it."""
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    first = cells.filter(has_text="%%sageturner_load digits").first
    last = cells.filter(has_text="axis.imshow").first
    top, bottom = first.bounding_box(), last.bounding_box()
    assert top and bottom
    page.screenshot(
        path=IMAGES / "quickstart.png",
        clip={
            "x": top["x"],
            "y": top["y"] - 6,
            "width": top["width"],
            "height": bottom["y"] + bottom["height"] - top["y"] + 12,
        },
    )


def main() -> None:
    """Run the quickstart in JupyterLab and take its pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        root, home = Path(temporary, "root"), Path(temporary, "home")
        root.mkdir()
        home.mkdir()
        os.environ["SAGETURNER_STATE_DIR"] = str(home / "state")
        shutil.copy(ROOT / "example_notebooks" / "01_quickstart.ipynb", root)
        with jupyter_lab(root, home) as lab, browser_page(940, 4600) as page:
            open_notebook(page, lab, "01_quickstart.ipynb", kernel=True)
            run_all(page)
            page.mouse.move(0, 0)
            page.wait_for_timeout(1000)
            quickstart(page)


if __name__ == "__main__":
    main()
