"""The files of an image of layers are those that pip installs, and what is in it works."""

from __future__ import annotations

import pytest

from tests.integration.image.layouts import FIXED, Comparison, compare
from tests.parts.registry import Registry

pytestmark = [pytest.mark.docker, pytest.mark.registry]


@pytest.fixture(scope="module")
def found(served: Registry, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return compare(FIXED, served, tmp_path_factory.mktemp("layout"))


def test_file_by_file_modes_included(found: Comparison) -> None:
    assert len(found.distributions) >= 30 and found.files > 5_000
    assert (found.missing, found.added, found.differing) == ((), (), ())


def test_pip_finds_everything_that_is_needed(found: Comparison) -> None:
    assert found.pip_check == "No broken requirements found."


def test_every_script_can_be_started(found: Comparison) -> None:
    assert found.scripts > 10
    assert found.broken == ()
