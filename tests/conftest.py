"""Which real parts are present, and whether a missing one skips or fails a test."""

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
    "docker": _docker,
    "registry": _registry,
    "browser": _browser,
    "torch": torch.missing,
}
"""Part -> why it is missing (empty when it is present)."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    required = {part for part in os.environ.get("SAGETURNER_REQUIRE", "").split(",") if part}
    if unknown := required - PARTS.keys():
        raise pytest.UsageError(f"SAGETURNER_REQUIRE names unknown parts: {sorted(unknown)}")
    needed = {part for item in items for part in PARTS if item.get_closest_marker(part)}
    missing = {part: reason for part in needed if (reason := PARTS[part]())}
    for part, reason in missing.items():
        if part in required:
            raise pytest.UsageError(f"SAGETURNER_REQUIRE names {part}, but {reason}")
    for item in items:
        for part, reason in missing.items():
            if item.get_closest_marker(part):
                item.add_marker(pytest.mark.skip(reason=reason))
