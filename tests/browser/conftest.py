"""Jupyter and Chromium for the browser tests; a test that fails keeps a screenshot."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from tests.browser.kernels import NEWEST, kernel_command, kernel_python
from tests.browser.lab import App, Lab, browser_page, jupyter
from tests.parts import network

SCREENSHOTS = Path("build/screenshots")
DEFAULT: tuple[App, str] = ("lab", NEWEST)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.stash[FAILED] = outcome.get_result().failed


FAILED = pytest.StashKey[bool]()


@pytest.fixture(autouse=True)
def alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """A network of the test's own, once the environment of its kernel is there."""
    kernel_python(_parameter(request)[1])
    with network.own_network() if network.possible() else contextlib.nullcontext():
        yield


def _parameter(request: pytest.FixtureRequest) -> tuple[App, str]:
    """The app and the version of ipykernel that the test's `lab` is parametrised with."""
    callspec = getattr(request.node, "callspec", None)
    return callspec.params.get("lab", DEFAULT) if callspec else DEFAULT


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path, alone: None) -> Iterator[Lab]:
    """JupyterLab with the newest kernel over an empty folder.

    Indirectly parametrised with (app, version of ipykernel), that app with that kernel.
    """
    app, version = _parameter(request)
    root, home = tmp_path / "root", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    with jupyter(root, home, app=app, kernel=kernel_command(version)) as running:
        yield running


@pytest.fixture
def page(request: pytest.FixtureRequest, alone: None) -> Iterator[Page]:
    """A page of a fresh Chromium.

    What its console calls an error fails the test, and so does a request to anywhere else.
    """
    with browser_page() as opened:
        errors: list[str] = []
        strangers: list[str] = []

        def said(message):
            if message.type == "error":
                errors.append(message.text)

        def asked(asking):
            if urlsplit(asking.url).hostname not in ("127.0.0.1", None):
                strangers.append(asking.url)

        opened.context.on("console", said)
        opened.context.on("request", asked)
        yield opened
        if request.node.stash.get(FAILED, False):
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            name = request.node.name.replace("/", "-")
            opened.screenshot(path=SCREENSHOTS / f"{name}.png")
        assert errors == []
        assert strangers == []
