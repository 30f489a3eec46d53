"""The check of a real account removes what it has made, however it ends."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sageturner_magic.errors import AwsError, DeploymentCancelled
from sageturner_magic.verbs.account import real_account


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What the check asks of AWS, in the order in which it asks; deployments go wrong."""
    monkeypatch.chdir(tmp_path)
    asked: list[str] = []

    def note(name: str, result: Any = ()) -> Any:
        def call(*_: Any, **__: Any) -> Any:
            asked.append(name)
            if isinstance(result, Exception):
                raise result
            return result

        return call

    monkeypatch.setattr(real_account, "names_in", lambda session: None)
    monkeypatch.setattr(real_account.aws_account, "resolve_role", lambda *_: None, raising=False)
    for name in ("find_repository", "bucket_region"):
        monkeypatch.setattr(real_account, name, lambda *_: None)
    for name in ("setup", "watch", "delete", "teardown"):
        monkeypatch.setattr(real_account, name, note(name))
    monkeypatch.setattr(
        real_account, "start_deployment", note("deploy", AwsError("denied for 123456789012"))
    )
    return asked


def options() -> Any:
    return SimpleNamespace(open=lambda: SimpleNamespace(region="eu-west-1"))


def test_what_fails_is_reported_without_account_numbers_and_all_is_removed(done: list[str]) -> None:
    report = real_account.check_account(yes=True, aws=options())
    assert done == ["setup", "deploy", "deploy", "watch", "delete", "teardown"]
    said = dict(report.parts)
    assert [each for each in said.values() if "not so" in each and "…" in each]
    assert "123456789012" not in Path(real_account.REPORT).read_text()


def test_an_interruption_goes_straight_to_the_removal(
    done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        done.append("deploy")
        raise DeploymentCancelled("stopped")

    monkeypatch.setattr(real_account, "start_deployment", stopped)
    with pytest.raises(DeploymentCancelled):
        real_account.check_account(yes=True, aws=options())
    assert done == ["setup", "deploy", "watch", "delete", "teardown"]
    assert "stopped before it was known" in Path(real_account.REPORT).read_text()


@pytest.mark.parametrize("there", ["aws_account.resolve_role", "find_repository", "bucket_region"])
def test_what_was_there_before_stays(
    done: list[str], monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    path = f"sageturner_magic.verbs.account.real_account.{there}"
    monkeypatch.setattr(path, lambda *_: "there", raising=False)
    real_account.check_account(yes=True, aws=options())
    assert "teardown" not in done
