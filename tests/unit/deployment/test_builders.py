"""Which builder a deployment uses here, and what this machine cannot try."""

import sys
from pathlib import Path

import pytest

from sageturner_magic.config import Origin, parse_config
from sageturner_magic.deployment.plans import builders
from sageturner_magic.deployment.plans.builders import base_credentials, builder_to_run, untried
from sageturner_magic.deployment.request import DeployRequest, FolderCode
from sageturner_magic.endpoints.container import sandbox
from sageturner_magic.errors import AwsError, EndpointError
from sageturner_magic.image.builders import choose
from sageturner_magic.packages.requirements import Target
from sageturner_magic.values import Credentials
from tests.unit.image.specs import package, spec


def asked(builder: str, container_mode: str = "generate") -> DeployRequest:
    config = parse_config(
        f"name: m\ncontainer: {{generate_container: {{builder: {builder}}}}}",
        folder=Path("/"),
        origin=Origin.file("sageturner.yaml"),
    )
    code = FolderCode(Path("/nowhere"))
    return DeployRequest(config, "local", container_mode, code, {}, False, sys.executable)


class Engine:
    """A Docker engine that tells its architecture."""

    def version(self):
        return {"Arch": "aarch64"}


@pytest.fixture
def machine(monkeypatch):
    """What this machine has: `engine`, `namespaces`."""
    has = set()

    def local_engine():
        if "engine" not in has:
            raise EndpointError("no engine")
        return Engine()

    def require():
        if "namespaces" not in has:
            raise EndpointError("no namespaces", why="they are forbidden")

    monkeypatch.setattr(builders, "local_engine", local_engine)
    monkeypatch.setattr(sandbox, "require_sandbox", require)
    monkeypatch.setattr(sandbox, "sandbox_architecture", lambda: "amd64")
    return has


@pytest.mark.parametrize(
    ("has", "builder", "name", "architecture", "reason"),
    [
        ({"engine", "namespaces"}, "auto", "docker", "arm64", "a Docker engine answers"),
        ({"engine"}, "docker", "docker", "arm64", "a Docker engine answers"),
        ({"namespaces"}, "auto", "layers", "amd64", "no Docker engine answers"),
        ({"engine", "namespaces"}, "layers", "layers", "amd64", "`builder: layers` asks for it"),
    ],
)
def test_an_image_is_run_by_what_this_machine_has(
    machine, has, builder, name, architecture, reason
):
    machine |= has
    chosen = builder_to_run(asked(builder))
    assert (chosen.builder.name, chosen.architecture, chosen.reason) == (name, architecture, reason)


@pytest.mark.parametrize(
    ("builder", "mode", "missing"),
    [
        ("auto", "generate", ["no engine", "no namespaces"]),
        ("layers", "generate", ["no namespaces"]),
        ("docker", "generate", ["no engine"]),
        ("layers", "provide", ["no engine"]),
    ],
)
def test_everything_that_is_missing_is_said(machine, builder, mode, missing):
    with pytest.raises(EndpointError) as raised:
        builder_to_run(asked(builder, mode))
    assert [finding.what for finding in raised.value.findings] == missing


def test_what_this_machine_cannot_try_is_said_with_the_reason(machine):
    arm = spec(package("six", "1"), target=Target("3.12", "arm64"))
    assert untried(choose("docker", arm)) == ()
    (other,) = untried(choose("layers", arm))
    assert "it is for arm64 and this machine is not" in other.why
    (forbidden,) = untried(choose("layers", spec()))
    assert "they are forbidden" in forbidden.why and forbidden.severity == "note"
    machine.add("namespaces")
    assert untried(choose("layers", spec())) == ()


class Options:
    """AWS options whose session is `found`, or an error."""

    def __init__(self, found):
        self.found = found

    def open(self):
        if isinstance(self.found, AwsError):
            raise self.found
        return self.found


DEEP_LEARNING = "763104351884.dkr.ecr.us-west-2.amazonaws.com"


def test_base_images_of_ecr_are_read_with_the_sessions_token(monkeypatch):
    asked_for = []

    def login(session, host):
        asked_for.append((session, host))
        return Credentials("AWS", "token")

    monkeypatch.setattr(builders.aws, "registry_login", login, raising=False)
    monkeypatch.setattr(builders, "stored_credentials", lambda host: Credentials("me", "stored"))
    of_host = base_credentials(Options("session"))
    assert of_host(DEEP_LEARNING) == Credentials("AWS", "token")
    assert asked_for == [("session", DEEP_LEARNING)]
    assert of_host("ghcr.io") == Credentials("me", "stored")


def test_without_a_session_the_stored_login_is_tried_for_them(monkeypatch):
    of_host = base_credentials(Options(AwsError("no credentials")))
    monkeypatch.setattr(builders, "stored_credentials", lambda host: Credentials("AWS", "stored"))
    assert of_host(DEEP_LEARNING) == Credentials("AWS", "stored")
    monkeypatch.setattr(builders, "stored_credentials", lambda host: None)
    with pytest.raises(AwsError, match="no credentials"):
        of_host(DEEP_LEARNING)
