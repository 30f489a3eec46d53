"""Where the values of `secrets:` come from on this machine."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from sageturner_magic.deployment import local_secrets
from sageturner_magic.deployment.local_secrets import missing_here, secret_values
from tests.unit.config.helpers import read

ENV = """\
# a comment
export HF_TOKEN = from-file
QUOTED="a # b"   # a comment
SINGLE='x=y'
PLAIN=value # a comment
EMPTY=
no line of ours
"""


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)


def test_values_come_from_the_file_beside_the_yaml(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(ENV)
    names = ["HF_TOKEN", "QUOTED", "SINGLE", "PLAIN", "EMPTY", "NONE"]
    assert secret_values(names, tmp_path) == {
        "HF_TOKEN": "from-file",
        "QUOTED": "a # b",
        "SINGLE": "x=y",
        "PLAIN": "value",
    }


def test_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(ENV)
    monkeypatch.setenv("HF_TOKEN", "from-environment")
    assert secret_values(["HF_TOKEN"], tmp_path) == {"HF_TOKEN": "from-environment"}


def test_the_keyring_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # keyring is no dependency: this has what its documentation says.
    kept = {("sageturner", "HF_TOKEN"): "from-keyring"}
    keyring, errors = types.ModuleType("keyring"), types.ModuleType("keyring.errors")
    keyring.get_password = lambda service, name: kept.get((service, name))  # type: ignore[attr-defined]
    errors.KeyringError = type("KeyringError", (Exception,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    monkeypatch.setattr(local_secrets.importlib.util, "find_spec", lambda name: True)
    assert secret_values(["HF_TOKEN", "NONE"], tmp_path) == {"HF_TOKEN": "from-keyring"}
    (tmp_path / ".env").write_text(ENV)
    assert secret_values(["HF_TOKEN"], tmp_path) == {"HF_TOKEN": "from-file"}


def test_a_missing_value_is_an_error_where_the_model_runs_here(tmp_path: Path) -> None:
    config = read("name: digits\nsecrets: {HF_TOKEN: team/hf}\n")
    (found,) = missing_here(config)
    assert (found.severity, found.where) == ("error", "secrets.HF_TOKEN")
    assert "set the environment variable HF_TOKEN" in found.do
    (found,) = missing_here(config, "so it is not tried")
    assert found.severity == "note"
