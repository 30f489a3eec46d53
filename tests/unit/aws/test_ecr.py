"""Credentials of the registry, which last twelve hours or less."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from botocore.stub import Stubber

from sageturner_magic.aws.ecr_login import EcrCredentials, ecr_region, registry_login
from sageturner_magic.aws.session import AwsSession

Stub = Callable[[object], Stubber]


def token(stubber: Stubber, password: str, lasts_s: float) -> None:
    stubber.add_response(
        "get_authorization_token",
        {
            "authorizationData": [
                {
                    "authorizationToken": base64.b64encode(f"AWS:{password}".encode()).decode(),
                    "expiresAt": datetime.fromtimestamp(time.time() + lasts_s, timezone.utc),
                    "proxyEndpoint": "https://127.0.0.1:5000",
                }
            ]
        },
    )


def test_one_token_serves_until_it_is_about_to_expire(session: AwsSession, stub: Stub) -> None:
    stubber = stub(session.ecr)
    token(stubber, "one:with colon", 12 * 3600)
    credentials = EcrCredentials(session)
    first = credentials.get()
    assert (first.user, first.password) == ("AWS", "one:with colon")
    assert credentials.get() is first


def test_one_that_is_about_to_expire_is_replaced(session: AwsSession, stub: Stub) -> None:
    stubber = stub(session.ecr)
    token(stubber, "one", 60)
    token(stubber, "two", 12 * 3600)
    credentials = EcrCredentials(session)
    assert [credentials.get().password for _ in range(3)] == ["one", "two", "two"]


def test_one_that_the_registry_refuses_is_replaced_once_for_all_who_were_refused(
    session: AwsSession, stub: Stub
) -> None:
    stubber = stub(session.ecr)
    token(stubber, "one", 12 * 3600)
    token(stubber, "two", 12 * 3600)
    credentials = EcrCredentials(session)
    refused = credentials.get()
    assert [credentials.renew(refused).password for _ in range(4)] == ["two"] * 4


def test_the_password_is_not_shown(session: AwsSession, stub: Stub) -> None:
    token(stub(session.ecr), "secret", 12 * 3600)
    assert "secret" not in repr(EcrCredentials(session).get())


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("763104351884.dkr.ecr.us-west-2.amazonaws.com", "us-west-2"),
        ("727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1"),
        ("public.ecr.aws", ""),
        ("registry-1.docker.io", ""),
        ("763104351884.dkr.ecr.us-west-2.amazonaws.com.evil.example", ""),
    ],
)
def test_registries_of_ecr_are_known_by_their_hosts(host: str, region: str) -> None:
    assert ecr_region(host) == region


def test_another_accounts_registry_is_read_with_the_token_of_its_region(
    session: AwsSession, stub: Stub
) -> None:
    host = "763104351884.dkr.ecr.us-west-2.amazonaws.com"
    there = session.in_region("us-west-2")
    token(stub(there.ecr), "token of us-west-2", 12 * 3600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AwsSession, "in_region", lambda self, region: there)
        login = registry_login(session, host)
    assert (login.user, login.password) == ("AWS", "token of us-west-2")
    assert there.ecr.meta.region_name == "us-west-2" and session.ecr.meta.region_name != "us-west-2"
