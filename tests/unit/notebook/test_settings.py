"""`%config SageturnerMagics`: what is set there holds until a flag says otherwise."""

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets import TraitError
from traitlets.config import Config

from sageturner_magic.aws import kept_sessions, session
from sageturner_magic.context import AwsOptions
from sageturner_magic.notebook.extension import load, unload
from sageturner_magic.verbs.reading import parse


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    load(shell)
    yield shell
    unload(shell)


@pytest.fixture
def opened(monkeypatch):
    """Profile and region of the AWS sessions that were opened."""
    found = []
    for module, name in ((session, "open_session"), (kept_sessions, "kept_session")):
        monkeypatch.setattr(module, name, lambda *asked: found.append(asked))
    return found


def magics(shell):
    return shell.magics_manager.registry["SageturnerMagics"]


def test_config_shows_and_sets_every_setting(shell, capsys):
    shell.run_line_magic("config", "SageturnerMagics")
    shown = capsys.readouterr().out
    for name in ("endpoint_type", "region", "profile", "wait", "progress_style"):
        assert f"SageturnerMagics.{name}=" in shown
    shell.run_line_magic("config", "SageturnerMagics.region = 'eu-west-1'")
    assert magics(shell).region == "eu-west-1"


def test_a_value_that_does_not_exist_is_refused(shell):
    with pytest.raises(TraitError):
        magics(shell).endpoint_type = "cloud"


def test_region_and_profile_hold_where_no_flag_is_given(shell, opened):
    magics(shell).region, magics(shell).profile = "eu-west-1", "work"
    AwsOptions().open()
    AwsOptions(region="us-east-1").open()
    AwsOptions(profile="other").open()
    assert opened == [("work", "eu-west-1"), ("work", "us-east-1"), ("other", "eu-west-1")]


def test_without_settings_the_environment_decides(shell, opened):
    AwsOptions().open()
    unload(shell)
    AwsOptions().open()
    assert opened == [(None, None), (None, None)]


def test_flags_win_over_settings(shell):
    magics(shell).endpoint_type, magics(shell).wait = "serverless", False
    defaults = magics(shell).defaults()
    bare = parse("deploy", [], "%sageturner", defaults)
    assert (bare.endpoint_type, bare.no_wait) == ("serverless", True)
    flags = parse("deploy", ["-e", "local", "--wait"], "%sageturner", defaults)
    assert (flags.endpoint_type, flags.no_wait) == ("local", False)
    assert not hasattr(parse("logs", ["digits"], "%sageturner", defaults), "endpoint_type")


def test_settings_of_the_profile_file_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    config = Config({"SageturnerMagics": {"wait": False}, "HistoryManager": {"enabled": False}})
    shell = InteractiveShell(config=config)
    load(shell)
    try:
        assert magics(shell).wait is False
    finally:
        unload(shell)
