"""Which real parts are present, and whether a missing one skips or fails a test."""

import functools
import os
import shutil
import subprocess
from collections.abc import Callable

import hypothesis
import pytest

from tests.parts import torch

# A test that is slow on a busy machine is not wrong.
hypothesis.settings.register_profile("tests", deadline=None)
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


PARTS: dict[str, Callable[[], str]] = {
    "docker": functools.cache(_docker),
    "registry": functools.cache(_registry),
    "browser": functools.cache(_browser),
    "torch": functools.cache(torch.missing),
}
"""Part -> why it is missing (empty when it is present)."""


def _required() -> set[str]:
    return {part for part in os.environ.get("SAGETURNER_REQUIRE", "").split(",") if part}


def pytest_configure() -> None:
    if unknown := _required() - PARTS.keys():
        raise pytest.UsageError(f"SAGETURNER_REQUIRE names unknown parts: {sorted(unknown)}")


def _group(item: pytest.Item) -> str:
    """The group of a test: one process runs a group's tests, one after another.

    An engine that starts a container changes this machine's network, and Chromium then ends the
    connections of the page that a test looks at.
    """
    if any(item.get_closest_marker(part) for part in ("docker", "browser")):
        return "engine and browser"
    return str(item.path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for part, missing in PARTS.items():
        if item.get_closest_marker(part) and (reason := missing()):
            if part in _required():
                pytest.fail(f"SAGETURNER_REQUIRE names {part}, but {reason}", pytrace=False)
            pytest.skip(reason)
