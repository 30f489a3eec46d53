"""Start, ping and stop one model container as SageMaker does."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import docker
import docker.errors
import requests

from sageturner_magic.constants import MODEL_DIR
from sageturner_magic.docker_engine import connect
from sageturner_magic.errors import EndpointError, ImageError
from sageturner_magic.values import UnpackedImage

PORT = "8080/tcp"

STOP_SECONDS = 30.0
"""SIGTERM to SIGKILL, as SageMaker allows."""

REMOVED = -1
"""In the place of an exit status: somebody removed the container, or the engine ended."""

HOME_LABEL = "sageturner.home"
"""On each of our containers: what it belongs to, by which it is found again."""

UNPRIVILEGED = 59_999
"""The user of a serverless container: a number that has no entry in passwd.

Debian gives nobody the numbers from 30000 to 59999. On an engine it is used where this process is
root; others have to be able to read their own files.
"""

SCRATCH = "size=5g,mode=1777"
"""/tmp of a serverless container, whose disk has 5 GB."""


@dataclass(frozen=True)
class ContainerSpec:
    """An image and what SageMaker gives a container of it.

    Attributes:
        image: Reference or id on the Docker engine; the name of an unpacked image.
        home: What the container belongs to (`HOME_LABEL`).
        model: Folder on this machine that becomes the read-only /opt/ml/model; None for none.
        environment: Variables, on top of the image's own.
        serverless_mb: Memory of a serverless endpoint in MB. Such a container also has a
            read-only file system, no shared memory and no root. None: an instance, which limits
            nothing.
        unpacked: The image as a folder, to be run without an engine.
        secrets: Variables that are written nowhere, on top of `environment`.
    """

    image: str
    home: str
    model: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    serverless_mb: int | None = None
    unpacked: UnpackedImage | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Exit:
    """How a container ended.

    Attributes:
        code: Exit status; 128 + n where signal n ended it; `REMOVED`.
        out_of_memory: The kernel ended it, or a process in it, because memory ran out.
        forced: It was ended by SIGKILL because SIGTERM did not end it in time.
    """

    code: int
    out_of_memory: bool = False
    forced: bool = False


class RunningContainer(Protocol):
    """What was started of an image and is not removed yet.

    Attributes:
        id: Names it on this machine.
        port: Where it listens on 127.0.0.1; 0 when it has ended already.
    """

    id: str
    port: int

    def output(self) -> Iterator[bytes]:
        """What it writes to stdout and stderr, from its start until it ends."""

    def exit(self) -> Exit | None:
        """How it ended, or None while it runs."""

    def wait(self) -> Exit:
        """As `exit`, once it has ended."""

    def stop(self, grace_s: float = STOP_SECONDS) -> Exit:
        """SIGTERM, and SIGKILL after `grace_s`."""

    def remove(self) -> None:
        """End it at once if it still runs, and leave nothing of it."""


class EngineContainer:
    """A container of a Docker engine."""

    def __init__(self, client: docker.APIClient, identity: str) -> None:
        self._client = client
        self.id = identity
        bindings = self._inspect()["NetworkSettings"]["Ports"].get(PORT)
        self.port = int(bindings[0]["HostPort"]) if bindings else 0

    def _inspect(self) -> dict[str, Any]:
        found: dict[str, Any] = self._client.inspect_container(self.id)
        return found

    def output(self) -> Iterator[bytes]:
        """What it writes to stdout and stderr, from its start until it ends."""
        # The engine ends the stream, one way or another, when the container goes.
        with suppress(docker.errors.APIError, requests.RequestException, OSError):
            yield from self._client.logs(self.id, stream=True, follow=True)

    def exit(self) -> Exit | None:
        """How it ended, or None while it runs."""
        try:
            state = self._inspect()["State"]
        except (docker.errors.APIError, requests.RequestException):
            return Exit(REMOVED)
        if state["Running"]:
            return None
        return Exit(int(state["ExitCode"]), bool(state["OOMKilled"]))

    def wait(self) -> Exit:
        """As `exit`, once it has ended."""
        # An error means that it, or the engine, is gone.
        with suppress(docker.errors.APIError, requests.RequestException):
            self._client.wait(self.id)
        return self.exit() or Exit(REMOVED)

    def _wait_at_most(self, seconds: float) -> Exit | None:
        deadline = time.monotonic() + seconds
        while (ended := self.exit()) is None and time.monotonic() < deadline:
            time.sleep(0.1)
        return ended

    def stop(self, grace_s: float = STOP_SECONDS) -> Exit:
        """SIGTERM, and SIGKILL after `grace_s`."""
        self._signal("SIGTERM")
        ended = self._wait_at_most(grace_s)
        if ended is not None:
            return ended
        self._signal("SIGKILL")
        killed = self.wait()
        return Exit(killed.code, killed.out_of_memory, forced=True)

    def _signal(self, name: str) -> None:
        # It may have ended by itself.
        with suppress(docker.errors.APIError, requests.RequestException):
            self._client.kill(self.id, name)

    def remove(self) -> None:
        """End it at once if it still runs, and leave nothing of it."""
        with suppress(docker.errors.APIError, requests.RequestException):
            self._client.remove_container(self.id, v=True, force=True)


def local_engine() -> docker.APIClient:
    """The Docker engine, which has to run on this machine. Raises EndpointError."""
    try:
        client = connect()
    except ImageError as error:
        raise EndpointError(
            "A container cannot be run here: no Docker engine answers",
            why=error.findings[0].why,
            do="start Docker (Docker Desktop, or `systemctl start docker`), or set"
            " `compute: {local: {mode: process}}`, which needs none",
            code="ST66",
        ) from None
    address = urlsplit(client.base_url)
    here = ("", "localhost", "127.0.0.1", "::1", "localnpipe")
    if address.scheme in ("http", "https", "ssh") and (
        (address.hostname or "") not in here and not address.scheme.startswith("http+")
    ):
        raise EndpointError(
            "A container cannot be run here: the Docker engine is another machine's",
            why=f"it is {address.hostname}, where this machine's folders and ports are not",
            do="use this machine's engine (`docker context use default`, or unset DOCKER_HOST),"
            " or set `compute: {local: {mode: process}}`",
            code="ST66",
        )
    return client


def run_container(spec: ContainerSpec) -> EngineContainer:
    """`docker run IMAGE serve`, with port 8080 on a free port of 127.0.0.1.

    Raises EndpointError where it cannot be started.
    """
    client = local_engine()
    options: dict[str, Any] = {"port_bindings": {8080: ("127.0.0.1", None)}}
    if spec.model:
        options["binds"] = {spec.model: {"bind": MODEL_DIR, "mode": "ro"}}
    user = None
    if spec.serverless_mb is not None:
        # With as much memory as memory and swap together, there is no swap.
        limit = f"{spec.serverless_mb}m"
        options |= {"mem_limit": limit, "memswap_limit": limit}
        options |= {"read_only": True, "tmpfs": {"/tmp": SCRATCH}, "ipc_mode": "none"}
        user = f"{os.getuid() or UNPRIVILEGED}:{os.getgid() or UNPRIVILEGED}"
    identity = ""
    try:
        created = client.create_container(
            spec.image,
            command=["serve"],
            environment={**spec.environment, **spec.secrets},
            ports=[8080],
            labels={HOME_LABEL: spec.home},
            user=user,
            host_config=client.create_host_config(**options),
        )
        identity = created["Id"]
        client.start(identity)
        return EngineContainer(client, identity)
    except docker.errors.APIError as error:
        if identity:
            with suppress(docker.errors.APIError):
                client.remove_container(identity, v=True, force=True)
        raise refusal(spec.image, str(error.explanation or error)) from None
    except requests.RequestException as error:
        raise EndpointError(
            "The Docker engine closed the connection",
            why=str(error),
            do="check that Docker runs, then run the command again",
        ) from None


def remove_containers(home: str, keep: str = "") -> None:
    """Remove every container that belongs to `home`, apart from the one with id `keep`.

    Raises EndpointError if no engine answers.
    """
    client = local_engine()
    for found in client.containers(all=True, filters={"label": f"{HOME_LABEL}={home}"}):
        if found["Id"] != keep:
            with suppress(docker.errors.APIError):
                client.remove_container(found["Id"], v=True, force=True)


def has_image(reference: str) -> bool:
    """Whether the engine has that image. Raises EndpointError if no engine answers."""
    try:
        local_engine().inspect_image(reference)  # type: ignore[no-untyped-call]
    except docker.errors.ImageNotFound:
        return False
    return True


def remove_image(reference: str) -> None:
    """Remove an image and the layers that only it has, unless a container still needs it.

    Raises EndpointError if no engine answers.
    """
    # What is gone already or still in use is as it should be.
    with suppress(docker.errors.APIError):
        local_engine().remove_image(reference)


# What runc and the kernel say, and what is behind it. The first match wins.
_REFUSALS = (
    (
        r"exec format error",
        "its programs are for another processor than this machine's",
        "build it for this machine's architecture (`FROM --platform=linux/amd64 …`)",
    ),
    (
        r"exec: \"?serve\"?.*(?:not found|no such file)",
        "SageMaker starts it as `docker run IMAGE serve`, and it has no program `serve`",
        'give it an ENTRYPOINT that takes `serve`, such as ["python", "/opt/program/server.py"]',
    ),
    (
        r"executable file not found|no such file or directory",
        "the program of its ENTRYPOINT does not exist in it",
        "correct ENTRYPOINT in the Dockerfile",
    ),
    (
        r"permission denied",
        "the program of its ENTRYPOINT may not be executed",
        "make it executable in the Dockerfile (`RUN chmod 755 FILE`)",
    ),
    (
        r"no such image",
        "the Docker engine does not have it (any more)",
        "deploy again, which builds it",
    ),
    (
        r"minimum memory limit|cgroup",
        "the Docker engine cannot limit its memory as a serverless endpoint does",
        "let the engine use cgroups, or remove `compute.serverless`",
    ),
)


def refusal(image: str, complaint: str) -> EndpointError:
    """Why the engine (or a container's only line of output) says `image` cannot be started."""
    for pattern, why, do in _REFUSALS:
        if re.search(pattern, complaint, re.IGNORECASE):
            return EndpointError(
                f"The image {image} does not start",
                why=why,
                do=do,
                details=complaint.strip(),
                code="ST86",
            )
    return EndpointError(
        f"The image {image} does not start",
        why=complaint.strip(),
        do="correct its Dockerfile",
        code="ST86",
    )


def exit_reason(ended: Exit, serverless_mb: int | None) -> str:
    """Why a container ended, in words."""
    if ended.out_of_memory:
        limit = f" of {serverless_mb} MB" if serverless_mb else ""
        return f"it needed more than its memory{limit}"
    if ended.forced:
        return "it did not end at SIGTERM"
    if ended.code == REMOVED:
        return "it was removed, or the Docker engine has ended"
    if ended.code == 126:
        return "its program may not be executed (status 126)"
    if ended.code == 127:
        return "its program was not found (status 127)"
    if ended.code > 128:
        number = ended.code - 128
        return f"it was ended by signal {number}" + (
            ", as the kernel does when memory runs out" if number == 9 else ""
        )
    return f"it exited with status {ended.code}"
