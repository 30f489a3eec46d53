"""Who is calling and where: found as by every AWS tool, or said plainly."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sageturner_magic.aws.session import AwsSession, open_session
from sageturner_magic.errors import AwsError


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "config"
    config.write_text(
        "[profile production]\nregion = eu-central-1\n"
        "aws_access_key_id = a\naws_secret_access_key = b\n"
        "[profile sandbox]\nregion = us-east-2\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")


def test_profile_and_its_region_are_used() -> None:
    session = open_session(profile="production")
    assert (session.profile, session.region, session.partition) == (
        "production",
        "eu-central-1",
        "aws",
    )


def test_a_region_that_is_named_beats_the_environment_and_that_the_profile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert open_session("production", "eu-west-1").region == "eu-west-1"
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert open_session("production").region == "eu-west-3"
    assert open_session("production", "eu-west-1").region == "eu-west-1"


@pytest.mark.parametrize(
    ("region", "partition"),
    [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")],
)
def test_each_region_has_its_partition(
    monkeypatch: pytest.MonkeyPatch, region: str, partition: str
) -> None:
    keys(monkeypatch)
    assert open_session(region=region).partition == partition


def test_an_unknown_profile_names_the_near_one() -> None:
    with pytest.raises(AwsError, match=r"'prodution' \(--profile\).*`--profile production`"):
        open_session("prodution")


def test_an_unknown_profile_that_is_like_none_lists_all() -> None:
    with pytest.raises(AwsError, match="production, sandbox"):
        open_session("zzz")


def test_no_region_says_how_to_set_one(monkeypatch: pytest.MonkeyPatch) -> None:
    keys(monkeypatch)
    with pytest.raises(AwsError, match=r"No AWS region.*--region eu-west-1.*aws configure set"):
        open_session()


def test_an_impossible_region_names_near_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    keys(monkeypatch)
    with pytest.raises(AwsError, match=r"'eu-wst1' is not an AWS region.*--region eu-west-1"):
        open_session(region="eu-wst1")


def test_no_credentials_says_how_to_get_some() -> None:
    with pytest.raises(AwsError, match=r"No AWS credentials.*`aws configure --profile sandbox`"):
        open_session("sandbox")


def test_clients_survive_throttling_are_made_once_and_say_who_they_are(
    session: AwsSession,
) -> None:
    made: list[object] = []
    threads = [threading.Thread(target=lambda: made.append(session.s3)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(client) for client in made}) == 1
    config = session.s3.meta.config
    assert config.retries["mode"] == "standard"
    assert config.retries["total_max_attempts"] == 10
    assert "sageturner-magic/" in config.user_agent


def test_prices_are_asked_where_the_pricing_service_is(session: AwsSession) -> None:
    assert session.pricing.meta.region_name == "us-east-1"
    assert session.s3.meta.region_name == "eu-west-1"


def test_the_caller_is_shown_without_the_account(session: AwsSession) -> None:
    assert session.account == "123456789012"
    assert session.caller == "assumed-role/Ops/ann"
