"""The registry client against a real registry whose connection fails in every way."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator

import pytest

from sageturner_magic.errors import DeploymentCancelled, ImageError
from sageturner_magic.image.registry import requests
from sageturner_magic.image.registry.client import PART, RegistryClient
from sageturner_magic.image.spec import Destination
from sageturner_magic.values import Credentials
from tests.parts.ecr_uploads import EcrUploads
from tests.parts.faulty import FaultyProxy, faulty_proxy
from tests.parts.recorder import Recorder
from tests.parts.registry import Registry

pytestmark = pytest.mark.registry

SIZE = 3 * PART + 12345


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_delay", lambda failures, answer: 0.01)


@pytest.fixture(params=["reference", "ECR"])
def proxy(served: Registry, request: pytest.FixtureRequest) -> Iterator[FaultyProxy]:
    ecr = EcrUploads() if request.param == "ECR" else None
    with faulty_proxy(served.host, ecr) as running:
        yield running


@pytest.fixture
def client(proxy: FaultyProxy, served: Registry) -> RegistryClient:
    repository = f"{proxy.host}/faults-{uuid.uuid4().hex[:8]}"
    return RegistryClient(
        Destination(repository, lambda: Credentials(served.user, served.password))
    )


def content() -> tuple[str, bytes]:
    blob = os.urandom(1 << 16) * (SIZE >> 16) + os.urandom(SIZE % (1 << 16))
    return f"sha256:{hashlib.sha256(blob).hexdigest()}", blob


def upload(client: RegistryClient, digest: str, blob: bytes) -> None:
    def read(offset: int) -> Iterator[bytes]:
        yield blob[offset:]

    client.upload(digest, len(blob), read, Recorder(), "a layer")


def once_each(*methods: str, fault: str):  # type: ignore[no-untyped-def]
    """A fault for the first request of each method, and one more for every fourth after it."""
    seen: dict[str, int] = {}

    def decide(method: str, path: str) -> str:
        seen[method] = seen.get(method, 0) + 1
        return fault if method in methods and seen[method] % 4 == 1 else ""

    return decide


@pytest.mark.parametrize("fault", ["500", "503", "429", "401", "reset", "lost", "half"])
def test_a_layer_arrives_whatever_happens_on_the_way(
    client: RegistryClient, proxy: FaultyProxy, fault: str
) -> None:
    digest, blob = content()
    proxy.fault = once_each("HEAD", "POST", "PATCH", "PUT", "GET", fault=fault)
    upload(client, digest, blob)
    proxy.fault = lambda method, path: ""
    assert client.has_blob(digest)
    assert client.blob(digest) == blob


@pytest.mark.parametrize(
    ("method", "fault"),
    [("PATCH", "lost"), ("PATCH", "half"), ("PATCH", "reset"), ("PUT", "lost"), ("PUT", "reset")],
)
def test_a_broken_upload_goes_on_where_it_broke(
    client: RegistryClient, proxy: FaultyProxy, method: str, fault: str
) -> None:
    digest, blob = content()
    proxy.fault = once_each(method, fault=fault)
    upload(client, digest, blob)
    sent = sum(size for method, _, size in proxy.requests if method in ("PATCH", "PUT"))
    assert sent < len(blob) + 2 * PART
    assert max(size for *_, size in proxy.requests) <= 20 << 20


def test_a_broken_download_goes_on_where_it_broke(
    client: RegistryClient, proxy: FaultyProxy
) -> None:
    digest, blob = content()
    upload(client, digest, blob)
    proxy.fault = once_each("GET", fault="cut")
    assert client.blob(digest) == blob
    assert sum(method == "GET" for method, *_ in proxy.requests) > 1


def test_content_with_another_digest_is_refused(client: RegistryClient, proxy: FaultyProxy) -> None:
    digest, blob = content()
    upload(client, digest, blob)
    proxy.fault = lambda method, path: "wrong" if method == "GET" else ""
    with pytest.raises(ImageError, match="other content than was asked for"):
        client.blob(digest)


def test_what_is_sent_damaged_is_not_taken(client: RegistryClient) -> None:
    digest, blob = content()
    with pytest.raises(ImageError, match="DIGEST_INVALID"):
        upload(client, digest, blob[:-1] + bytes([blob[-1] ^ 0xFF]))
    assert not client.has_blob(digest)


def test_a_registry_that_stays_away_is_named(client: RegistryClient, proxy: FaultyProxy) -> None:
    proxy.fault = lambda method, path: "reset"
    with pytest.raises(ImageError, match=f"the registry {client.host} does not answer"):
        client.find("tag")
    proxy.fault = lambda method, path: "503"
    with pytest.raises(ImageError, match="answers 503"):
        client.find("tag")


def test_an_upload_can_be_stopped(client: RegistryClient) -> None:
    class Stopping(Recorder):
        def checkpoint(self) -> None:
            if self.measures:
                raise DeploymentCancelled("stopped")

    digest, blob = content()
    with pytest.raises(DeploymentCancelled):
        client.upload(digest, len(blob), lambda offset: iter((blob,)), Stopping(), "a layer")
    assert not client.has_blob(digest)


@pytest.mark.parametrize("refusal", ["401", "expired"])
def test_an_expired_token_is_replaced_in_the_middle_of_an_upload(
    served: Registry, proxy: FaultyProxy, refusal: str
) -> None:
    asked: list[int] = []

    def credentials() -> Credentials:
        asked.append(1)
        return Credentials(served.user, served.password)

    client = RegistryClient(Destination(f"{proxy.host}/expiring", credentials))
    digest, blob = content()
    patches: list[str] = []

    def expire(method: str, path: str) -> str:
        if method == "PATCH":
            patches.append(path)
        return refusal if method == "PATCH" and len(patches) == 2 else ""

    proxy.fault = expire
    upload(client, digest, blob)
    assert client.has_blob(digest)
    assert len(asked) == 2
