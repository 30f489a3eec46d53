"""Secrets of local endpoints: in the model's environment, and nowhere on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

import sageturner_magic as sageturner

CANARY = "canary-2c7d81-value"

MODULE = """\
import os
def load(): return os.environ["HF_TOKEN"]
def predict(model, request):
    if request == "raise": raise ValueError(model)
    return {"length": len(os.environ["HF_TOKEN"])}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAGETURNER_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    folder = tmp_path / "project"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "sageturner.py").write_text(MODULE)
    (folder / "sageturner.yaml").write_text(
        "name: kept\nsecrets: {HF_TOKEN: team/hf}\n"
        "container: {generate_container: {code_dir: ./code}}\n"
    )
    monkeypatch.chdir(folder)
    return folder


def files_with(text: str, folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if text.encode() in path.read_bytes()]


def test_a_local_process_has_the_value_and_writes_it_nowhere(folder: Path) -> None:
    (folder / ".env").write_text(f"HF_TOKEN={CANARY}\n")
    try:
        sageturner.deploy()
        assert sageturner.invoke("kept", "x") == {"length": len(CANARY)}
        with pytest.raises(sageturner.SageturnerError) as raised:
            sageturner.invoke("kept", "raise")
        assert "[secret HF_TOKEN]" in str(raised.value)
        exported = folder.parent / "exported"
        sageturner.export(exported)
        assert "team/hf" in (exported / "sageturner.yaml").read_text()
        assert files_with(CANARY, folder.parent) == [folder / ".env"]
    finally:
        sageturner.delete("kept")


def test_the_version_before_has_its_secrets_after_a_rollback(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", CANARY)
    try:
        sageturner.deploy()
        module = folder / "code" / "sageturner.py"
        module.write_text(MODULE.replace('"length"', '"other"'))
        sageturner.deploy()
        assert sageturner.invoke("kept", "x") == {"other": len(CANARY)}
        sageturner.rollback("kept")
        assert sageturner.invoke("kept", "x") == {"length": len(CANARY)}
        monkeypatch.delenv("HF_TOKEN")
        with pytest.raises(sageturner.SageturnerError, match="HF_TOKEN` has no value"):
            sageturner.rollback("kept")
        assert not files_with(CANARY, folder.parent / "state")
    finally:
        sageturner.delete("kept")


def test_a_secret_without_a_value_stops_plan_and_try(folder: Path) -> None:
    for verb in (sageturner.plan, sageturner.try_):
        with pytest.raises(sageturner.SageturnerError) as raised:
            verb()
        assert "The secret `HF_TOKEN` has no value on this machine" in str(raised.value)
        assert f"`HF_TOKEN=VALUE` into {folder / '.env'}" in str(raised.value)


def test_try_has_the_value_and_masks_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", CANARY)
    tried = sageturner.try_(payload="x")
    assert tried.value == {"length": len(CANARY)}
    with pytest.raises(sageturner.SageturnerError) as raised:
        sageturner.try_(payload="raise")
    assert "[secret HF_TOKEN]" in str(raised.value) and CANARY not in str(raised.value)
