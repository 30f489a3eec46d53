"""`secret put NAME`: where the value comes from, and what is refused."""

from __future__ import annotations

import io

import pytest

from sageturner_magic.context import AwsOptions
from sageturner_magic.errors import UsageError
from sageturner_magic.verbs.account import secrets as module


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch, tmp_path) -> list[tuple[str, str]]:
    calls: list[tuple[str, str]] = []

    def put(session: object, reference: str, value: str) -> str:
        calls.append((reference, value))
        return "done"

    monkeypatch.setattr(module, "put_secret", put)
    monkeypatch.setattr(AwsOptions, "open", lambda self: None)
    monkeypatch.chdir(tmp_path)
    return calls


def test_a_script_gives_the_value_on_standard_input(stored, monkeypatch, tmp_path) -> None:
    (tmp_path / "sageturner.yaml").write_text("name: a\nsecrets: {HF_TOKEN: team/hf}\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter2\n"))
    assert module.secret("put", "HF_TOKEN") == ["done"]
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter3"))
    module.secret("put", "OTHER")
    assert stored == [("team/hf", "hunter2"), ("OTHER", "hunter3")]


def test_no_value_and_other_actions_are_refused(stored, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(UsageError, match="There is no value for `HF_TOKEN`"):
        module.secret("put", "HF_TOKEN")
    with pytest.raises(UsageError, match="`secret put HF_TOKEN`"):
        module.secret("get", "HF_TOKEN")
    assert not stored


def test_where_nobody_can_type_the_command_to_paste_is_named(stored, monkeypatch) -> None:
    def refuse(prompt: str) -> str:
        raise NotImplementedError

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", refuse)
    with pytest.raises(UsageError, match="sageturner secret put HF_TOKEN < FILE"):
        module.secret("put", "HF_TOKEN")
