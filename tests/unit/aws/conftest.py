"""A session that can reach nothing, and clients that answer as they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import boto3
import pytest
from botocore.stub import Stubber

from sageturner_magic.aws.names import Names
from sageturner_magic.aws.session import AwsSession

ACCOUNT = "123456789012"
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/ann"


@pytest.fixture(scope="session")
def boto() -> Iterator[boto3.Session]:
    """Shared, because reading the service models takes most of a test's time."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("AWS_PROFILE", raising=False)
        yield boto3.Session("AKID", "SECRET", region_name="eu-west-1")


@pytest.fixture
def session(boto: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> AwsSession:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    session = AwsSession(None, "eu-west-1", "aws", boto)
    session.__dict__["identity"] = (ACCOUNT, CALLER)
    return session


@pytest.fixture
def stub(session: AwsSession) -> Iterator[Callable[[object], Stubber]]:
    """Makes a client answer from a list; whatever is not on it fails the test."""
    made: list[Stubber] = []

    def make(client: object) -> Stubber:
        stubber = Stubber(client)  # type: ignore[arg-type]
        stubber.activate()
        made.append(stubber)
        return stubber

    yield make
    for stubber in made:
        stubber.assert_no_pending_responses()


@pytest.fixture
def ours() -> Names:
    return Names(ACCOUNT, "eu-west-1", "aws", "bucket", "sageturner-role-sagemaker", "sageturner")
