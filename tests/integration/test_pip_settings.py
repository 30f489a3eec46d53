"""pip's settings are read by pip itself, once; the unit tests' environments have no pip."""

from pathlib import Path

import pytest

from sageturner_magic.packages import machine


def test_pip_is_asked_again_when_a_file_or_a_variable_has_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "pip.conf"
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    config.write_text("[global]\nfind-links = /first\n")
    assert machine.pip_configuration()["find-links"] == "/first"
    with monkeypatch.context() as nothing_runs:
        nothing_runs.setattr(machine.subprocess, "run", None)
        assert machine.pip_configuration()["find-links"] == "/first"
    config.write_text("[global]\nfind-links = /second\n")
    assert machine.pip_configuration()["find-links"] == "/second"
    monkeypatch.setenv("PIP_FIND_LINKS", "/third")
    assert machine.pip_configuration()["find-links"] == "/third"
    monkeypatch.delenv("PIP_FIND_LINKS")
    config.unlink()
    assert machine.pip_configuration().get("find-links") != "/second"
