"""A person who meets an error and does what its remedy says gets on."""

from __future__ import annotations

import os
from contextlib import suppress
from unittest.mock import patch

import pytest

from sageturner_magic.cli import main
from sageturner_magic.error_codes import KINDS
from tests.integration.remedies.account_scenarios import ACCOUNT
from tests.integration.remedies.endpoint_scenarios import ENDPOINTS
from tests.integration.remedies.person import Person
from tests.integration.remedies.scenario import CODE, YAML
from tests.integration.remedies.scenarios import NOT_RUN, SCENARIOS
from tests.integration.remedies.warning_scenarios import WARNINGS

ERRORS = {**SCENARIOS, **ENDPOINTS}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The state folder in which the local endpoint `digits` runs."""
    folder = tmp_path_factory.mktemp("d")
    (folder / "code").mkdir()
    (folder / "code" / "sageturner.py").write_text(CODE)
    (folder / "sageturner.yaml").write_text(YAML.replace("doubler", "digits"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAGETURNER_STATE_DIR", str(folder / "state"))
        patch.chdir(folder)
        assert main(["deploy", "-e", "local", "--detach"]) == 0
        yield folder / "state"
        main(["delete", "digits", "-e", "local", "--yes"])


@pytest.fixture
def person(tmp_path, monkeypatch, capsys, state, digits):
    monkeypatch.setenv("SAGETURNER_STATE_DIR", str(digits))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code").mkdir()
    person = Person(tmp_path, monkeypatch, capsys)
    person.does(f"code/sageturner.py <- {CODE}")
    person.does(f"sageturner.yaml <- {YAML}")
    with patch.dict(os.environ):
        yield person
    with suppress(SystemExit):
        main(["delete", "doubler", "-e", "local", "--yes", "--if-exists"])
    person.shell.extension_manager.unload_extension("sageturner_magic")


def test_every_code_is_run_or_says_why_not():
    run = [*ERRORS, *WARNINGS, *ACCOUNT]
    assert sorted([*run, *NOT_RUN]) == list(KINDS)
    assert len(NOT_RUN) <= 27, "the list of codes without a run may only become shorter"


@pytest.mark.parametrize("code", ERRORS)
def test_the_remedy_of_an_error_ends_it(code, person):
    person.follows(code, ERRORS[code])


@pytest.mark.parametrize("code", WARNINGS)
def test_the_remedy_of_a_warning_ends_it(code, person):
    person.heeds(code, WARNINGS[code])
