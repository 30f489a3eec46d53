"""The check of a real account is run against the AWS stand-in, which it has to leave empty."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from sageturner_magic.verbs.account.real_account import NAME, REPORT
from tests.parts.waiting import wait_for
from tests.stand import Stand
from tests.stand.project import Project
from tests.stand.sweep import nothing_left

pytestmark = [pytest.mark.docker, pytest.mark.registry]


def test_costs_are_named_before_anything_is_made(stand: Stand, tmp_path: Path) -> None:
    said = Project(stand, tmp_path, NAME).refused("doctor", "--aws")
    assert "less than $0." in said and "add `--yes`" in said


def test_every_belief_that_is_met_is_reported_and_nothing_is_left(
    stand: Stand, tmp_path: Path
) -> None:
    with nothing_left(stand):
        found = Project(stand, tmp_path, NAME).json("doctor", "--aws", "--yes")
    beliefs = {what: said for what, said in found.items() if isinstance(said, str)}
    assert found["wrong"] == []
    assert len(beliefs) >= 12
    assert {what: said for what, said in beliefs.items() if not said.startswith("yes")} == {}
    report = (tmp_path / REPORT).read_text()
    assert "a request of 24 mb is taken" in report.lower()
    assert not re.search(r"\d{12}", report), "no account numbers"


def test_an_interrupted_check_leaves_nothing(stand: Stand, tmp_path: Path) -> None:
    with nothing_left(stand):
        project = Project(stand, tmp_path, NAME)
        stand.faults.set(transition_s=5)
        # A shell's background job ignores SIGINT, and so would what it starts.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        running = project.start("doctor", "--aws", "--yes")

        def creating() -> bool:
            assert running.poll() is None, running.communicate()
            return any(each["name"] == NAME for each in project.json("list")["endpoints"])

        wait_for("an endpoint", creating, seconds=240)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=240)
        assert running.returncode == 130
        stand.faults.clear()
