"""What is said where an unpacked image cannot be run."""

from __future__ import annotations

from pathlib import Path

import pytest

from sageturner_magic.endpoints.container import sandbox
from sageturner_magic.errors import EndpointError


def refused() -> str:
    with pytest.raises(EndpointError) as raised:
        sandbox.require_sandbox()
    assert "mode: process" in raised.value.findings[0].do
    return raised.value.report()


def test_other_systems_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.platform, "system", lambda: "Darwin")
    assert "it needs Linux, and this is Darwin" in refused()


@pytest.fixture
def linux(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A Linux machine without any of the programs."""
    monkeypatch.setattr(sandbox.platform, "system", lambda: "Linux")
    monkeypatch.setattr(sandbox, "STUDIO", tmp_path / "metadata.json")
    monkeypatch.setattr(sandbox, "SETTINGS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_missing_programs_are_named(linux: Path) -> None:
    said = refused()
    assert "neither bubblewrap nor unshare is installed. Do: install bubblewrap" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel/unprivileged_userns_clone", "0"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1"),
        ("user/max_user_namespaces", "0"),
    ],
)
def test_a_setting_of_the_kernel_that_forbids_it_is_named(
    linux: Path, name: str, value: str
) -> None:
    (linux / name).parent.mkdir()
    (linux / name).write_text(f"{value}\n")
    setting = name.replace("/", ".")
    assert f"{setting} is {value}. Do: have an administrator change {setting}" in refused()


def test_studio_is_known_for_it(linux: Path) -> None:
    (linux / "metadata.json").touch()
    assert "SageMaker Studio's and notebook instances' containers may not" in refused()


def test_what_the_programs_say_is_shown(linux: Path) -> None:
    for name in ("bwrap", "unshare"):
        (linux / name).write_text(f"#!/bin/sh\necho {name} says no >&2; exit 1\n")
        (linux / name).chmod(0o755)
    said = refused()
    assert "this machine lets nobody make namespaces" in said
    assert "bubblewrap: bwrap says no\nunshare: unshare says no" in said
