"""A person who meets an error and does what its remedy says gets on."""

from __future__ import annotations

import re
import shlex
import subprocess
from contextlib import suppress

import pytest
from IPython.core.interactiveshell import InteractiveShell

from sageturner_magic.cli import main
from sageturner_magic.error_codes import KINDS
from sageturner_magic.errors import SageturnerError
from tests.integration.remedies.scenarios import CODE, NOT_RUN, SCENARIOS, YAML, Scenario


class Person:
    """Types in a shell and in a notebook; `said` is what they read last."""

    def __init__(self, folder, environment, capsys):
        self.folder, self.environment, self.capsys = folder, environment, capsys
        self.shell = InteractiveShell()
        self.shell.extension_manager.load_extension("sageturner_magic")

    def does(self, step: str) -> SageturnerError | str | None:
        """Do one step; returns what went wrong, as far as it is known."""
        name, arrow, text = step.partition(" <- ")
        if arrow:
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_text(text)
        elif step.startswith("tar "):
            subprocess.run(shlex.split(step), cwd=self.folder, check=True)
        elif step.startswith("export "):
            self.environment.setenv(*step.removeprefix("export ").split("=", 1))
        elif step.startswith("sageturner "):
            self.capsys.readouterr()
            code = main(shlex.split(step)[1:])
            return self.capsys.readouterr().err if code else None
        else:
            ended = self.shell.run_cell(step, store_history=True)
            error = ended.error_in_exec or ended.error_before_exec
            return error.report() if isinstance(error, SageturnerError) else error and str(error)
        return None


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
    yield person
    with suppress(SystemExit):
        main(["delete", "doubler", "-e", "local", "--yes", "--if-exists"])
    person.shell.extension_manager.unload_extension("sageturner_magic")


def test_every_code_is_run_or_says_why_not():
    assert set(SCENARIOS) | set(NOT_RUN) == set(KINDS)
    assert not set(SCENARIOS) & set(NOT_RUN)
    assert len(NOT_RUN) <= 52, "the list of codes without a run may only become shorter"


@pytest.mark.parametrize("code", SCENARIOS)
def test_the_remedy_of_an_error_ends_it(code, person):
    scenario: Scenario = SCENARIOS[code]
    for step in scenario.before:
        person.does(step)
    said = person.does(scenario.fails)
    assert said and re.findall(r"\[(ST\d\d)\]", said) == [code], said
    remedies = f"{said} {KINDS[code].remedy}"
    assert scenario.pasted in remedies, remedies
    assert scenario.pasted in " ".join([*scenario.fix, scenario.works])
    for step in scenario.fix:
        problem = person.does(step)
        assert not problem, problem
    assert not (problem := person.does(scenario.works)), problem
