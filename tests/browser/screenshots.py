"""Takes the pictures of `docs/images/`: `make screenshots`, or some of them by name.

Each is taken of a real notebook in JupyterLab, in the light and in the dark theme, and for those
who look after the design on a page of 560 pixels, into `build/screenshots/`.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.lab import Lab, browser_page, jupyter, open_notebook, run_all, start_all, write

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
NARROW = ROOT / "build" / "screenshots"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
QUIET = ".jp-cell-toolbar, .jp-Collapser {visibility: hidden} .jp-Cell {border-color: transparent}"
"""What shows only that a cell is selected."""

LOAD = """%%sageturner_load reviews
import time

WORDS = {"wonderful": 2, "good": 1, "slow": -1, "broken": -2}

def load():
    for shard in range(1, 41):
        print(f"reading shard {shard} of 40", flush=True)
        time.sleep(0.25)
    return WORDS"""
PREDICT = """%%sageturner_predict reviews
import random, time

def predict(model, request):
    time.sleep(random.lognormvariate(-4.2, 0.45))
    scores = [sum(model.get(word, 0) for word in text.split()) for text in request["texts"]]
    return [
        {"text": text, "label": "positive" if score > 0 else "negative", "score": score}
        for text, score in zip(request["texts"], scores)
    ]"""
DEPLOY = "%%sageturner deploy\nname: reviews\nserving: {workers: 4}"
ASK = """%%sageturner invoke reviews
{"texts": ["a wonderful phone with a good screen", "slow and broken", "good value"]}"""
LOAD_TEST = """%%sageturner load-test reviews --requests 800 --concurrency 4
{"texts": ["a wonderful phone with a good screen", "slow and broken"]}"""
STATUS = "%sageturner status reviews --hours 0.1"
FAILING = (
    """%%sageturner_load prices
import json

def load(model_dir):
    with open(f"{model_dir}/prices.json") as file:
        return json.load(file)["euros"]""",
    "%%sageturner_predict prices\ndef predict(model, request):\n    return model[request]",
    'prices = {"dollars": {"tea": 2.5}}',
    "%%sageturner deploy\nname: prices\nartefact: {prices.json: prices}",
)

FORM = (
    """from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

classifier = LogisticRegression(max_iter=200).fit(*load_digits(return_X_y=True))""",
    """%%sageturner_load digits
import joblib

def load(model_dir):
    return joblib.load(f"{model_dir}/digits.joblib")""",
    """%%sageturner_predict digits
def predict(model, request):
    return {"digit": int(model.predict([request["pixels"]])[0])}""",
)


def use_theme(page: Page, theme: str) -> None:
    """Change the theme and wait until it shows."""
    page.evaluate(
        "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})",
        THEMES[theme],
    )
    shown = f'body[data-jp-theme-name="{THEMES[theme]}"]'
    page.wait_for_selector(shown, state="attached")
    page.wait_for_timeout(500)


def take(page: Page, name: str, first: int, last: int, folder: Path = IMAGES) -> None:
    """A picture of the cells from the `first` to the `last`."""
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    top, bottom = cells.nth(first).bounding_box(), cells.nth(last).bounding_box()
    assert top and bottom
    if (dialog := page.locator(".jp-Dialog")).count():
        print(f"closed: {dialog.first.inner_text()}")
        page.keyboard.press("Escape")
    page.mouse.move(0, 0)
    page.add_style_tag(content=QUIET)
    page.screenshot(
        path=folder / f"{name}.png",
        clip={
            "x": top["x"],
            "y": top["y"] - 6,
            "width": top["width"],
            "height": bottom["y"] + bottom["height"] - top["y"] + 12,
        },
    )


def take_both(page: Page, name: str, first: int, last: int, folder: Path = IMAGES) -> None:
    """The same in both themes, and narrow."""
    for theme in THEMES:
        use_theme(page, theme)
        take(page, f"{name}-{theme}", first, last, folder)
    use_theme(page, "light")
    wide = page.viewport_size
    assert wide
    page.set_viewport_size({"width": 560, "height": wide["height"]})
    page.wait_for_timeout(500)
    take(page, f"{name}-560", first, last, NARROW)
    page.set_viewport_size(wide)


def quickstart(lab: Lab, page: Page) -> None:
    """From a trained model to the first predictions, as the README shows it."""
    shutil.copy(ROOT / "example_notebooks" / "01_quickstart.ipynb", lab.root)
    open_notebook(page, lab, "01_quickstart.ipynb", kernel=True)
    run_all(page)
    page.wait_for_timeout(1000)
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    sources = [cells.nth(place).inner_text() for place in range(cells.count())]

    def place(text: str) -> int:
        return next(index for index, source in enumerate(sources) if text in source)

    take(page, "quickstart", place("%sageturner deploy digits"), place("%sageturner invoke digits"))


def progress(lab: Lab, page: Page) -> None:
    """A deployment that runs, with its log unfolded."""
    write(lab.root / "progress.ipynb", "%load_ext sageturner_magic", LOAD, PREDICT, DEPLOY)
    open_notebook(page, lab, "progress.ipynb", kernel=True)
    start_all(page)
    page.wait_for_selector(".sageturner-progress >> text=Load the model")
    page.get_by_text("Log", exact=True).click()
    page.wait_for_selector("text=reading shard 12 of 40")
    take_both(page, "progress", 3, 3)


def results(lab: Lab, page: Page) -> None:
    """A prediction, a load test, and the endpoint some minutes later."""
    wait = "import time\nfor pause in range(4):\n    time.sleep(50)\n    "
    wait += "get_ipython().run_line_magic('sageturner', 'load-test reviews --requests 200 "
    wait += '--concurrency 2 {"texts": ["slow"]}\')'
    fast = LOAD.replace("time.sleep(0.25)", "pass")
    others = ("%sageturner list", "%sageturner code reviews", "%sageturner doctor")
    sources = (fast, PREDICT, DEPLOY, ASK, LOAD_TEST, wait, STATUS, *others)
    write(lab.root / "results.ipynb", "%load_ext sageturner_magic", *sources)
    open_notebook(page, lab, "results.ipynb", kernel=True)
    run_all(page, seconds=400)
    page.wait_for_timeout(1000)
    take_both(page, "invocation", 4, 4)
    take_both(page, "load-test", 5, 5)
    take_both(page, "dashboard", 7, 7)
    take_both(page, "deployed", 3, 3, NARROW)
    take_both(page, "others", 8, 10, NARROW)


def failure(lab: Lab, page: Page) -> None:
    """A model that does not load: the cause, its frames, and what to do."""
    write(lab.root / "failure.ipynb", "%load_ext sageturner_magic", *FAILING)
    open_notebook(page, lab, "failure.ipynb", kernel=True)
    start_all(page)
    page.wait_for_selector("text=EndpointError")
    take_both(page, "failure", 4, 4)


def form(lab: Lab, page: Page) -> None:
    """The deploy form as it begins, with what is captured filled in."""
    page.set_viewport_size({"width": 1180, "height": 2000})
    write(lab.root / "form.ipynb", "%load_ext sageturner_magic", *FORM, "%sageturner form")
    open_notebook(page, lab, "form.ipynb", kernel=True)
    run_all(page)
    page.get_by_label("Endpoint type").select_option(index=1)
    page.wait_for_selector(".sageturner-form >> text=auto: joblib")
    take_both(page, "form", len(FORM) + 1, len(FORM) + 1)


PICTURES: dict[str, Callable[[Lab, Page], None]] = {
    "quickstart": quickstart,
    "progress": progress,
    "failure": failure,
    "results": results,
    "form": form,
}


def main(names: list[str]) -> None:
    """Take the pictures of these names, by default all."""
    for folder in (IMAGES, NARROW):
        folder.mkdir(parents=True, exist_ok=True)
    for name in names or PICTURES:
        with tempfile.TemporaryDirectory() as temporary:
            root, home = Path(temporary, "root"), Path(temporary, "home")
            root.mkdir()
            home.mkdir()
            with jupyter(root, home) as lab, browser_page(940, 4600) as page:
                PICTURES[name](lab, page)


if __name__ == "__main__":
    main(sys.argv[1:])
