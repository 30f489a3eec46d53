"""A person who meets an error of AWS or of an image, and does what its remedy says, gets on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.integration.remedies.account_scenarios import ACCOUNT
from tests.integration.remedies.person import Person
from tests.integration.remedies.scenario import CODE
from tests.stand import Stand

pytestmark = pytest.mark.registry


@pytest.fixture
def person(
    stand: Stand,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Person]:
    monkeypatch.setenv("SAGETURNER_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    person = Person(tmp_path, monkeypatch, capsys)
    person.shell.push({"stand": stand})
    person.does(f"code/sageturner.py <- {CODE}")
    with patch.dict(os.environ):
        yield person
    person.shell.extension_manager.unload_extension("sageturner_magic")


@pytest.mark.parametrize("code", ACCOUNT)
def test_the_remedy_of_an_error_ends_it(code: str, person: Person) -> None:
    person.follows(code, ACCOUNT[code])
