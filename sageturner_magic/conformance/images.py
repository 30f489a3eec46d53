"""The rules for an image: the same container contract, from its start to its end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from .rules import Outcome, Result, Target, check, wait_until_ready

END_SECONDS = 30.0
"""Between SIGTERM and SIGKILL."""


@contextlib.contextmanager
def container(
    image: str, *, environment: dict[str, str] | None = None, serverless: bool = False
) -> Iterator[tuple[Target, Callable[[], Result]]]:
    """A container of `image`, started as SageMaker does: `docker run IMAGE serve`.

    Args:
        image: Name or id.
        environment: For the container.
        serverless: Start it as Serverless Inference may: not as root, with read-only files.

    Gives the target and a function that stops the container with SIGTERM and says how it ended.
    Raises docker.errors.DockerException.
    """
    import docker

    client = docker.from_env()
    limits: dict[str, Any] = (
        {"user": "65534:65534", "read_only": True, "tmpfs": {"/tmp": ""}} if serverless else {}
    )
    running = client.containers.run(
        image,
        "serve",
        detach=True,
        environment=environment or {},
        ports={"8080/tcp": ("127.0.0.1", 0)},
        **limits,
    )

    def stop() -> Result:
        began = time.monotonic()
        running.stop(timeout=int(END_SECONDS))
        status = running.wait()["StatusCode"]
        took = time.monotonic() - began
        outcome: Outcome = "passed" if status == 0 and took < END_SECONDS else "failed"
        evidence = f"exit status {status} after {took:.1f} s"
        return Result(
            "sigterm", "SIGTERM ends it with status 0 within 30 s", True, outcome, evidence
        )

    try:
        running.reload()
        bound = running.ports["8080/tcp"] or [{"HostPort": "0"}]
        yield Target("127.0.0.1", int(bound[0]["HostPort"])), stop
    finally:
        running.remove(force=True)
        client.close()


def check_image(
    image: str,
    *,
    body: bytes | None = None,
    content_type: str = "application/json",
    environment: dict[str, str] | None = None,
) -> tuple[Result, ...]:
    """Every rule for an image: starting, serving, ending, and the same as Serverless may start it.

    Raises docker.errors.DockerException when Docker cannot start it.
    """
    with container(image, environment=environment) as (at, stop):
        target = replace(at, body=body, content_type=content_type)
        started = wait_until_ready(target)
        served = check(target) if started.outcome == "passed" else ()
        ended = stop()
    with container(image, environment=environment, serverless=True) as (at, _):
        again = wait_until_ready(at)
    text = "it starts without root and with read-only files, as Serverless Inference may start it"
    serverless = replace(again, rule="serverless", text=text)
    return (started, *served, ended, serverless)
