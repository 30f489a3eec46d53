"""Fixtures that give tests a stand, and what a deployment needs on it."""

from __future__ import annotations

import base64
import functools
import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import docker
import pytest
from botocore.loaders import create_loader

from tests.parts import engine, kept_layers
from tests.parts.waiting import wait_for
from tests.stand import Keys, Limits, Stand, Timing

BUCKET = "stand-sagemaker-models"
REPOSITORY = "stand-sagemaker"


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """AWS on this machine, the same for all tests of a file, which take names of their own.

    While a test that has it runs, DOCKER_HOST and AWS's variables are set to it. botocore reads
    its descriptions of AWS's services once, and not for every command that a test runs. Tests
    that start no container need no Docker engine.
    """
    once = functools.cache(create_loader)
    with (
        patch("botocore.session.create_loader", once),
        Stand(
            tmp_path_factory.mktemp("stand"), timing=_timing(), find_engine=engine.address
        ) as running,
    ):
        yield running


def _timing() -> Timing:
    return Timing(provisioning_s=0.1, deletion_s=0.1)


@pytest.fixture(autouse=True)
def on_the_stand(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment for the stand; faults, timing, limits and quotas end with the test."""
    if "stand" not in request.fixturenames:
        yield
        return
    running: Stand = request.getfixturevalue("stand")
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    yield
    running.faults.clear()
    running.quotas.reset()
    running.scheduler.reset()
    for current, default in ((running.timing, _timing()), (running.limits, Limits())):
        vars(current).update(vars(default))


@dataclass
class Account:
    """A bucket, a repository with one image in it, a role: what a deployment starts from.

    Attributes:
        image: The tiny model's image, by digest.
    """

    stand: Stand
    image: str
    role: str
    sagemaker: Any = field(init=False)
    runtime: Any = field(init=False)

    def __post_init__(self) -> None:
        self.sagemaker = self.stand.client("sagemaker")
        self.runtime = self.stand.client("sagemaker-runtime")

    def upload(self, key: str, files: dict[str, bytes], links: dict[str, str] | None = None) -> str:
        """Put a tar.gz of `files` into the bucket; its URI."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            for name, target in (links or {}).items():
                member = tarfile.TarInfo(name)
                member.type, member.linkname = tarfile.SYMTYPE, target
                archive.addfile(member)
        s3 = self.stand.client("s3")
        s3.put_object(Bucket=BUCKET, Key=key, Body=packed.getvalue())
        return f"s3://{BUCKET}/{key}"

    def create_model(self, name: str, **container: Any) -> None:
        self.sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=self.role,
            PrimaryContainer={"Image": self.image, **container},
        )

    def create_config(self, name: str, model: str, **variant: Any) -> None:
        kind = variant or {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5}}
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[{"VariantName": "AllTraffic", "ModelName": model, **kind}],
        )

    def create(self, name: str, variant: dict[str, Any] | None = None, **container: Any) -> None:
        """Model, configuration and endpoint, all called `name`; it is not waited for."""
        self.create_model(name, **container)
        self.create_config(name, name, **(variant or {}))
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

    def settled(self, name: str) -> dict[str, Any]:
        """The endpoint's description once nothing is under way."""

        def settled() -> dict[str, Any] | None:
            found: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
            return found if found["EndpointStatus"] in ("InService", "Failed") else None

        return wait_for(f"endpoint {name} to settle", settled, seconds=60)

    def log(self, endpoint: str, until: str) -> str:
        """The endpoint's log, once `until` stands in it."""
        logs = self.stand.client("logs")
        group = f"/aws/sagemaker/Endpoints/{endpoint}"

        def lines() -> str | None:
            groups = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
            if not groups:
                return None
            streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
            text = "\n".join(
                event["message"]
                for stream in streams
                for event in logs.get_log_events(
                    logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
                )["events"]
            )
            return text if until in text else None

        return wait_for(f"{until!r} in the log of {endpoint}", lines)


@pytest.fixture(scope="session")
def model_image() -> str:
    """The tiny model's image on the engine, by its id."""
    engine_client = docker.DockerClient(base_url=engine.start())
    kept_layers.keep("3.11")
    built, _ = engine_client.images.build(
        path=str(Path(__file__).parent / "model"), tag="sageturner-test-model", rm=True
    )
    return str(built.id)


Push = Callable[..., str]


@pytest.fixture(scope="module")
def push(stand: Stand) -> Push:
    """Pushes an image to the stand's ECR as Docker does; returns its digest."""

    def push(image: str, repository: str, tag: str, keys: Keys | None = None) -> str:
        answer = stand.client("ecr", keys).get_authorization_token()["authorizationData"][0]
        user, _, password = base64.b64decode(answer["authorizationToken"]).decode().partition(":")
        name = f"{stand.registry_host}/{repository}"
        client = docker.DockerClient(base_url=stand.docker_host)
        client.images.get(image).tag(name, tag)
        digest = ""
        lines = client.images.push(
            name,
            tag,
            auth_config={"username": user, "password": password},
            stream=True,
            decode=True,
        )
        for line in lines:
            if "error" in line:
                raise RuntimeError(line["error"])
            digest = line.get("aux", {}).get("Digest", digest)
        client.close()
        return digest

    return push


@pytest.fixture(scope="module")
def account(stand: Stand, model_image: str, push: Push) -> Account:
    """An account that is set up, with the tiny model's image pushed."""
    location = {"LocationConstraint": stand.region}
    stand.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
    stand.client("ecr").create_repository(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")
    digest = push(model_image, REPOSITORY, "tiny")
    role = stand.create_role("stand-sagemaker", BUCKET, REPOSITORY)
    return Account(stand, f"{stand.registry_host}/{REPOSITORY}@{digest}", role)
