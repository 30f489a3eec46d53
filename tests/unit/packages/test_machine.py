from __future__ import annotations

from pathlib import Path

import pytest

from sageturner_magic.packages import machine
from sageturner_magic.packages.machine import with_machine_settings
from sageturner_magic.packages.pip_arguments import PipArguments, parse_pip_arguments
from sageturner_magic.packages.urls import Location
from sageturner_magic.values import Credentials


def test_pips_settings_are_added_after_what_the_user_asks_for(tmp_path: Path) -> None:
    (tmp_path / "limits.txt").write_text("torch<3\n")
    arguments = parse_pip_arguments(["--extra-index-url https://example.org/mine six"], tmp_path)
    found = with_machine_settings(
        arguments,
        {
            "index-url": "https://bob:pw@mirror.example.org/simple",
            "extra-index-url": "https://example.org/a\nhttps://example.org/b",
            "find-links": str(tmp_path),
            "constraint": str(tmp_path / "limits.txt"),
            "trusted-host": "mirror.example.org",
        },
        {},
    )
    assert found.requirements == ("six",)
    assert found.index == Location("https://mirror.example.org/simple", Credentials("bob", "pw"))
    assert [each.url for each in found.extra_indexes] == [
        "https://example.org/mine",
        "https://example.org/a",
        "https://example.org/b",
    ]
    assert found.find_links == (Location(tmp_path.as_uri()),)
    assert found.constraints == ("torch<3",)
    assert "--allow-insecure-host=mirror.example.org" in found.options


def test_the_users_own_index_replaces_the_machines() -> None:
    arguments = parse_pip_arguments(["--index-url https://example.org/mine six"], Path())
    settings = {"index-url": "https://mirror.example.org/simple"}
    assert with_machine_settings(arguments, settings, {}).index == Location(
        "https://example.org/mine"
    )


def test_uvs_own_variables_count_with_their_separate_credentials() -> None:
    found = with_machine_settings(
        PipArguments(),
        {},
        {
            "UV_INDEX": "corp-main=https://example.org/corp https://example.org/open",
            "UV_INDEX_CORP_MAIN_USERNAME": "bob",
            "UV_INDEX_CORP_MAIN_PASSWORD": "pw",
            "UV_DEFAULT_INDEX": "https://example.org/default",
        },
    )
    assert found.index == Location("https://example.org/default")
    assert found.extra_indexes == (
        Location("https://example.org/corp", Credentials("bob", "pw")),
        Location("https://example.org/open"),
    )


def test_pips_configuration_is_read_with_the_environment_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://example.org/g\nfind-links = /global\n"
        "[install]\nfind-links = /install\n[freeze]\ntimeout = 10\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_INDEX_URL", "https://example.org/e")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    found = machine.pip_configuration()
    assert found["index-url"] == "https://example.org/e"
    assert found["find-links"] == "/install"
    assert "timeout" not in found


def test_secrets_of_this_process_do_not_reach_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("UV_INDEX_CORP_PASSWORD", "s3cret")
    monkeypatch.setenv("PIP_INDEX_URL", "https://bob:s3cret@example.org/simple")
    environment = machine.resolver_environment({"cert": "/tmp/bundle.pem", "proxy": "http://p:1"})
    assert "s3cret" not in str(environment)
    assert environment["UV_SYSTEM_CERTS"]
    assert environment["ALL_PROXY"] == "http://p:1"
