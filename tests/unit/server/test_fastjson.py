"""Which orjson the server uses: not one of the user's that would end the process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sageturner_magic.server.codec.formats import fastjson

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


@pytest.fixture(autouse=True)
def unused() -> Iterator[None]:
    yield
    fastjson.module = None


@pytest.mark.parametrize(
    ("version", "used"),
    [("3.9.15", False), ("3.10.7", False), ("3.10.12", True), ("3.11.0rc1", True), ("4.0", True)],
)
def test_an_orjson_below_the_bound_is_left_alone(
    version: str, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    orjson = SimpleNamespace(__version__=version)
    monkeypatch.setitem(sys.modules, "orjson", orjson)
    fastjson.find("")
    assert fastjson.module is (orjson if used else None)


def test_a_module_of_that_name_without_a_version_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "orjson", SimpleNamespace(mine="the orjson of the user"))
    fastjson.find("")
    assert fastjson.module is None


def test_the_bound_is_that_of_the_package() -> None:
    bound = ".".join(map(str, fastjson.OLDEST))
    assert f'"orjson>={bound}",' in PYPROJECT.read_text()
