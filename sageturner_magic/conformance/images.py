"""Check an image against the container contract, from its start to its end."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from .rules import Result, Rule, Verdict, check, wait_until_ready
from .server_under_test import ServerUnderTest

END_SECONDS = 30.0
"""Between SIGTERM and SIGKILL."""


@dataclass(frozen=True)
class Running:
    """A running container.

    Attributes:
        target: The server in it.
        alive: Whether it still runs.
        stop: Stops it with SIGTERM and says how it ended.
    """

    target: ServerUnderTest
    alive: Callable[[], bool]
    stop: Callable[[], Result]


@contextlib.contextmanager
def container(
    image: str, *, environment: dict[str, str] | None = None, serverless: bool = False
) -> Iterator[Running]:
    """A container of `image`, started as SageMaker does: `docker run IMAGE serve`.

    Args:
        image: Name or id.
        environment: For the container.
        serverless: Start it as Serverless Inference may: not as root, with read-only files.

    It is removed at the end. Raises docker.errors.DockerException.
    """
    import docker

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = docker.from_env()
    limits: dict[str, Any] = (
        {"user": "65534:65534", "read_only": True, "tmpfs": {"/tmp": ""}} if serverless else {}
    )
    running = client.containers.run(
        image,
        "serve",
        detach=True,
        environment=environment or {},
        ports={"8080/tcp": ("127.0.0.1", port)},
        **limits,
    )

    def alive() -> bool:
        running.reload()
        return bool(running.status in ("created", "running"))

    def stop() -> Result:
        began = time.monotonic()
        running.stop(timeout=int(END_SECONDS))
        status = running.wait()["StatusCode"]
        took = time.monotonic() - began
        outcome: Verdict = "passed" if status == 0 and took < END_SECONDS else "failed"
        evidence = f"exit status {status} after {took:.1f} s"
        return Result(
            "sigterm", "SIGTERM ends it with status 0 within 30 s", True, outcome, evidence
        )

    try:
        yield Running(ServerUnderTest("127.0.0.1", port), alive, stop)
    finally:
        running.remove(force=True)
        client.close()


def check_image(
    image: str,
    *,
    body: bytes | None = None,
    content_type: str = "application/json",
    environment: dict[str, str] | None = None,
    progress: Callable[[Rule], object] = lambda rule: None,
) -> tuple[Result, ...]:
    """Every rule for an image: starting, serving, ending, and the same as Serverless may start it.

    Raises docker.errors.DockerException when Docker cannot start it.
    """
    with container(image, environment=environment) as running:
        target = replace(running.target, body=body, content_type=content_type)
        started = wait_until_ready(target, alive=running.alive)
        served = check(target, progress=progress) if started.outcome == "passed" else ()
        ended = running.stop()
    with container(image, environment=environment, serverless=True) as running:
        again = wait_until_ready(running.target, alive=running.alive)
    text = "it starts without root and with read-only files, as Serverless Inference may start it"
    serverless = replace(again, rule="serverless", text=text)
    return (started, *served, ended, serverless)
