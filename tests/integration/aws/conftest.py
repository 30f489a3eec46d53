"""moto as a server on a port of its own, so that boto3 is pointed at it by AWS_ENDPOINT_URL."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from sageturner_magic.aws.names import Names, names_in
from sageturner_magic.aws.session import AwsSession, open_session


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.integration.aws.moto_program"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


@pytest.fixture
def session(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> AwsSession:
    requests.post(f"{moto_url}/moto-api/reset", timeout=10).raise_for_status()
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return open_session(region="eu-west-1")


@pytest.fixture
def ours(session: AwsSession) -> Names:
    return names_in(session)
