"""moto as a server on a port of its own, so that boto3 is pointed at it by AWS_ENDPOINT_URL."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from moto.s3.models import FakeBucket
from moto.server import ThreadedMotoServer

from sageturner_magic.aws.names import Names, names_in
from sageturner_magic.aws.session import AwsSession, open_session


def _without_tls_rules(policy: bytes) -> bytes:
    document = json.loads(policy)
    kept = [s for s in document["Statement"] if "aws:SecureTransport" not in json.dumps(s)]
    return json.dumps({**document, "Statement": kept}).encode()


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    # moto does not know conditions in bucket policies, and so would refuse everything for the
    # statement that refuses what is not sent over TLS.
    original = FakeBucket.get_permission

    def get_permission(self: FakeBucket, action: str, resource: str) -> Any:
        policy = self.policy
        try:
            self.policy = _without_tls_rules(policy) if policy else policy
            return original(self, action, resource)
        finally:
            self.policy = policy

    patch = pytest.MonkeyPatch()
    patch.setattr(FakeBucket, "get_permission", get_permission)
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    patch.undo()


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
