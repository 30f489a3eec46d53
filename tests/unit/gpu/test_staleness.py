"""The tables are compared with botocore and with the package index."""

from __future__ import annotations

import stat
import sys
from datetime import date, timedelta
from pathlib import Path

import botocore
import pytest
from packaging.version import Version

from sageturner_magic.aws.endpoints.limits import inference_ami_versions
from sageturner_magic.gpu import catalogue, facts, staleness
from sageturner_magic.gpu.facts import Ami

NEWEST = dict(facts.NEWEST)

of_botocore = pytest.mark.skipif(
    Version(botocore.__version__) < Version("1.42.60"),
    reason="the tables have AMIs that this botocore does not know yet",
)


def whats(findings: list[staleness.Finding]) -> list[str]:
    return [finding.what for finding in findings]


def test_every_accelerated_family_of_botocore_is_in_the_tables():
    assert [f for f in staleness.families(catalogue.families()) if f.severity == "error"] == []


@of_botocore
def test_every_ami_of_botocore_is_in_the_tables_with_its_driver():
    documented = catalogue.documented_amis()
    assert staleness.amis(inference_ami_versions(), documented) == []
    assert documented == dict(facts.AMIS)


def test_a_new_gpu_family_is_out_of_date():
    found = staleness.families([*facts.FAMILIES, *facts.OTHER_ACCELERATORS, "p9", "m9", "inf3"])
    assert whats(found) == [
        "The instance family inf3 is not in the tables",
        "The instance family p9 is not in the tables",
    ]


def test_a_family_that_aws_does_not_offer_is_a_note():
    found = staleness.families([*facts.OTHER_ACCELERATORS, *list(facts.FAMILIES)[1:]])
    assert [(finding.severity, finding.what) for finding in found] == [
        ("note", "The instance family p2 is in the tables only")
    ]


def test_new_and_withdrawn_amis_and_changed_drivers_are_out_of_date():
    known = [*facts.AMIS, *facts.OTHER_AMIS]
    changed = {known[1]: Ami(545, (12, 3))}
    assert whats(staleness.amis([*known[1:], "al2030-gpu-9"], changed)) == [
        "al2030-gpu-9 is not in the tables",
        f"{known[0]} cannot be had any more",
        f"{known[1]} has another driver than the tables say",
    ]


def test_tables_that_nobody_looked_at_for_long_are_a_warning():
    assert staleness.age(facts.AS_OF + timedelta(days=180)) == []
    (finding,) = staleness.age(facts.AS_OF + timedelta(days=181))
    assert finding.severity == "warning"


def test_a_newer_minor_version_on_the_index_is_out_of_date():
    newest = {**NEWEST, "torch": "99.0.1", "jax": f"{NEWEST['jax']}.9"}
    assert whats(staleness.versions(newest.__getitem__)) == [
        f"torch 99.0.1 is newer than the tables, which know {NEWEST['torch']}"
    ]


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_the_newest_version_is_asked_of_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    program(tmp_path, "uv", 'read name; echo "$name==9.8.7"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert staleness.newest_on_index("torch") == "9.8.7"


def test_the_newest_version_is_asked_of_pip_where_there_is_no_uv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program(tmp_path, "python", 'echo "$7 (9.8.7)"')
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert staleness.newest_on_index("torch") == "9.8.7"


@of_botocore
def test_an_index_that_does_not_answer_is_said_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    program(tmp_path, "uv", "echo 'error: no network' >&2; exit 2")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert staleness.main([]) == 0
    shown = capsys.readouterr().out
    assert "The package index could not be asked, so versions are unchecked" in shown
    assert "error: no network" in shown
    assert f"0 out of date; the tables are of {facts.AS_OF}." in shown


def test_the_command_fails_when_something_is_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    program(tmp_path, "uv", 'read name; echo "$name==99.0"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert staleness.main([]) == 1
    assert "torch 99.0 is newer than the tables" in capsys.readouterr().out


@of_botocore
def test_offline_asks_no_index(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    assert staleness.main(["--offline"]) == 0


def test_the_tables_date_is_not_in_the_future():
    assert date(2026, 1, 1) < facts.AS_OF
