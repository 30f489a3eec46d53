"""Which real parts are present, and whether a missing one skips or fails a test."""

import functools
import importlib
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling, Scheduling

from tests.parts import network, torch

MATHJAX_2 = Path("/usr/share/javascript/mathjax/MathJax.js")

# A test that is slow on a busy machine is not wrong.
hypothesis.settings.register_profile("tests", deadline=None)
# For Pythons beside the one that draws all examples; `--hypothesis-profile=sample` chooses it.
hypothesis.settings.register_profile("sample", deadline=None, max_examples=25)
hypothesis.settings.load_profile("tests")


def _docker() -> str:
    if not shutil.which("docker"):
        return "the docker program is not installed"
    info = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=30)
    return "" if info.returncode == 0 else "no Docker engine answers `docker info`"


def _registry() -> str:
    return "" if shutil.which("docker-registry") else "docker-registry is not installed"


def _browser() -> str:
    return "" if shutil.which("chromium") else "chromium is not installed"


def _mathjax() -> str:
    return "" if MATHJAX_2.exists() else "MathJax 2 (Debian's libjs-mathjax) is not installed"


def _gpu() -> str:
    try:
        found = importlib.import_module("torch").cuda.is_available()
    except ImportError:
        return "torch is not installed"
    return "" if found else "torch finds no NVIDIA GPU"


PARTS: dict[str, Callable[[], str]] = {
    "docker": functools.cache(_docker),
    "registry": functools.cache(_registry),
    "browser": functools.cache(_browser),
    "mathjax": functools.cache(_mathjax),
    "torch": functools.cache(torch.missing),
    "gpu": functools.cache(_gpu),
}
"""Part -> why it is missing (empty when it is present)."""


def _required() -> set[str]:
    return {part for part in os.environ.get("SAGETURNER_REQUIRE", "").split(",") if part}


def pytest_configure() -> None:
    if unknown := _required() - PARTS.keys():
        raise pytest.UsageError(f"SAGETURNER_REQUIRE names unknown parts: {sorted(unknown)}")
    # A shell without job control lets what it starts with `&` ignore SIGINT, and all that is
    # started from there: the commands that tests stop with Ctrl-C would never end.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _marks(file: Path) -> frozenset[str]:
    """The parts that a test file names in its marks."""
    return frozenset(re.findall(r"mark\.(\w+)", file.read_text(encoding="utf-8"))) & PARTS.keys()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that all processes end at about the same time."""
    tests = Counter(item.path for item in items)
    marks = {file: _marks(file) for file in tests}

    def shortness(item: pytest.Item) -> tuple[bool, bool, bool, int, Path]:
        found = marks[item.path]
        parts = (part not in found for part in ("torch", "docker", "browser"))
        return (*parts, -tests[item.path], item.path)

    items.sort(key=shortness)


class _Groups(LoadScopeScheduling):
    """Which tests one process runs, one after another, while another process runs others.

    Those of a file. Without a network of their own the browser's tests share a process with the
    engine's: an engine that starts a container changes this machine's network, and Chromium then
    ends the connections of the page that a test looks at.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if network.possible() or not _marks(self.config.rootpath / file) & {"docker", "browser"}:
            return file
        return "engine and browser"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    if config.getvalue("dist") != "loadscope":
        return None
    # The order is that of the collection.
    config.option.loadscopereorder = False
    return _Groups(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for part, missing in PARTS.items():
        if item.get_closest_marker(part) and (reason := missing()):
            if part in _required():
                pytest.fail(f"SAGETURNER_REQUIRE names {part}, but {reason}", pytrace=False)
            pytest.skip(reason)
