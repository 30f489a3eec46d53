"""JupyterLab and Chromium for the browser tests; a test that fails keeps a screenshot."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.lab import Lab, browser_page, jupyter_lab

SCREENSHOTS = Path("build/screenshots")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.stash[FAILED] = outcome.get_result().failed


FAILED = pytest.StashKey[bool]()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A JupyterLab over an empty folder."""
    monkeypatch.setenv("SAGETURNER_STATE_DIR", str(tmp_path / "state"))
    root, home = tmp_path / "root", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    with jupyter_lab(root, home) as running:
        yield running


@pytest.fixture
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of a fresh Chromium; what its console calls an error fails the test."""
    with browser_page() as opened:
        errors: list[str] = []
        opened.on("console", lambda said: said.type == "error" and errors.append(said.text))
        yield opened
        if request.node.stash.get(FAILED, False):
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            opened.screenshot(path=SCREENSHOTS / f"{request.node.name}.png")
        assert errors == []
