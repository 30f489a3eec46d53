"""A person who types in a shell and in a notebook, and does what messages say."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from sageturner_magic.cli import main
from sageturner_magic.error_codes import KINDS
from sageturner_magic.errors import SageturnerError
from tests.integration.remedies.scenario import Scenario


class Person:
    """Works in `folder`.

    Attributes:
        printed: What the last command or cell printed.
    """

    def __init__(
        self,
        folder: Path,
        environment: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.folder, self.environment, self.capsys = folder, environment, capsys
        self.printed = ""
        self.shell = InteractiveShell()
        self.shell.extension_manager.load_extension("sageturner_magic")

    def does(self, step: str) -> str:
        """Do one step; returns what went wrong, as far as it is known."""
        name, arrow, text = step.partition(" <- ")
        if arrow:
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_text(text)
        elif step.startswith(("tar ", "chmod ")):
            subprocess.run(step, shell=True, cwd=self.folder, check=True)
        elif step.startswith("export "):
            self.environment.setenv(*step.removeprefix("export ").split("=", 1))
        else:
            self.capsys.readouterr()
            said = self._command(step) if step.startswith("sageturner ") else self._cell(step)
            out, error = self.capsys.readouterr()
            self.printed = out + error
            return error if said is None else said
        return ""

    def _command(self, line: str) -> str | None:
        """Run a command; None where what it printed says what went wrong."""
        return None if main(shlex.split(line)[1:]) else ""

    def _cell(self, source: str) -> str:
        ended = self.shell.run_cell(source, store_history=True)
        error = ended.error_in_exec or ended.error_before_exec
        if isinstance(error, SageturnerError):
            return error.report()
        return repr(error) if error else ""

    def follows(self, code: str, scenario: Scenario) -> None:
        """Meet the error of `code`, and end it as its remedy says."""
        self.prepares(scenario)
        said = self.does(scenario.fails)
        assert code in re.findall(r"\[(ST\d\d)\]", said), said or self.printed
        self._ends(scenario, f"{said} {KINDS[code].remedy}")

    def heeds(self, code: str, scenario: Scenario) -> None:
        """Read the warning of `code`, and read it no more after doing what it says."""
        self.prepares(scenario)
        assert not (problem := self.does(scenario.fails)), problem
        assert re.findall(r"\[(ST\d\d)\]", self.printed) == [code], self.printed
        self._ends(scenario, f"{self.printed} {KINDS[code].remedy}")
        assert code not in self.printed, self.printed

    def prepares(self, scenario: Scenario) -> None:
        for step in scenario.before:
            self.does(step)

    def _ends(self, scenario: Scenario, remedies: str) -> None:
        assert scenario.pasted in remedies, remedies
        assert scenario.pasted in " ".join([*scenario.fix, scenario.works])
        for step in (*scenario.fix, scenario.works):
            problem = self.does(step)
            assert not problem, problem
