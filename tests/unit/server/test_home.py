"""User code finds a home folder that it can write, and a user's name."""

from __future__ import annotations

import getpass
import os
import pwd
import tempfile
from pathlib import Path

import pytest

from sageturner_magic.server import home


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("given", [{}, {"HOME": ""}, {"HOME": "/proc/none"}])
def test_a_home_that_cannot_be_written_is_replaced_below_tmp(
    scratch: Path, given: dict[str, str]
) -> None:
    home.prepare(given)
    folder = Path(given["HOME"])
    assert folder.parent == scratch and folder.stat().st_mode & 0o777 == 0o700
    first = dict(given)
    home.prepare(given)
    assert given == first
    other: dict[str, str] = {}
    home.prepare(other)
    assert other["HOME"] == given["HOME"], "workers of one container share the caches"


def test_what_can_be_used_stays(scratch: Path) -> None:
    given = {"HOME": str(scratch), "USER": "me", "NUMBA_CACHE_DIR": str(scratch / "numba")}
    before = dict(given)
    home.prepare(given)
    assert given == before


def test_caches_that_cannot_be_written_follow_home(scratch: Path) -> None:
    given = dict.fromkeys((*home.CACHES, *home.MODELS), "/proc/none")
    home.prepare(given)
    assert not {*home.CACHES, *home.MODELS} & given.keys()


def test_models_that_an_image_holds_are_still_read(scratch: Path) -> None:
    given = {"HF_HOME": "/proc", "TORCH_HOME": "/proc/none"}
    home.prepare(given)
    assert given["HF_HOME"] == "/proc" and "TORCH_HOME" not in given


def test_a_user_without_an_entry_in_passwd_has_a_name(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(number: int) -> pwd.struct_passwd:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in home.NAMES:
        monkeypatch.delenv(name, raising=False)
    home.prepare(os.environ)
    assert getpass.getuser() == home.USER


def test_a_user_who_has_an_entry_keeps_the_name(scratch: Path) -> None:
    given = {"HOME": str(scratch)}
    home.prepare(given)
    assert "USER" not in given
