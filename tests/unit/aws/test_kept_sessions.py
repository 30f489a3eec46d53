"""A notebook's calls share a session until something that it comes from changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sageturner_magic.aws import kept_sessions
from sageturner_magic.aws.kept_sessions import MAX_AGE, kept_session

CREDENTIALS = "[default]\naws_access_key_id = A\naws_secret_access_key = {}\n"


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    written = tmp_path / "credentials"
    written.write_text(CREDENTIALS.format("first"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(written))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(kept_sessions, "_last", None)
    return written


def test_the_same_session_is_used_again(credentials: Path) -> None:
    first = kept_session()
    assert kept_session() is first
    assert kept_session(region="eu-west-3").region == "eu-west-3"
    assert kept_session().region == "eu-west-1"


def test_other_credentials_get_a_session_of_their_own(
    credentials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = kept_session()
    credentials.write_text(CREDENTIALS.format("another"))
    second = kept_session()
    assert second is not first
    assert second.client("sts")._request_signer._credentials.secret_key == "another"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "B")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "C")
    assert kept_session().client("sts")._request_signer._credentials.access_key == "B"


def test_what_a_session_knows_is_read_again_after_a_while(
    credentials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(kept_sessions.time, "monotonic", lambda: now)
    first = kept_session()
    now += MAX_AGE - 1
    assert kept_session() is first
    now += 2
    assert kept_session() is not first
