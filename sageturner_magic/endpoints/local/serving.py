"""Read the state of a local endpoint's process or container, and end it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass

from sageturner_magic.endpoints import children, container
from sageturner_magic.endpoints.local import server_process
from sageturner_magic.endpoints.local.record import LocalRecord

STATUS = {
    "loading": "Creating",
    "ready": "InService",
    "draining": "Deleting",
    "failed": "Failed",
}
"""The server's own state -> SageMaker's EndpointStatus."""


@dataclass(frozen=True)
class Condition:
    """How an endpoint is.

    Attributes:
        status: SageMaker's EndpointStatus.
        trouble: What is wrong, in a line; empty when nothing is.
    """

    status: str
    trouble: str = ""


def condition(record: LocalRecord) -> Condition:
    """Ask the server of `record` how it is."""
    if record.server() is None:
        return Condition("OutOfService", f"{_end_of(record)}; deploy it again")
    if record.image:
        return _by_ping(record.port, "container")
    answer = server_process.state_of(record.control)
    if answer is None:  # Also where the socket's file was deleted.
        return _by_ping(record.port, "server")
    return Condition(STATUS.get(answer.state, "Failed"))


def _end_of(record: LocalRecord) -> str:
    if not record.image:
        return "its server has ended"
    said = container.read_state(record.control)
    reason = container.exit_reason(said.exit, None) if said and said.exit else ""
    return "its container has ended" + (f" ({reason})" if reason else "")


def _by_ping(port: int, what: str) -> Condition:
    answer = container.ping(port)
    if answer is None:
        return Condition("Failed", f"its {what} runs but does not answer /ping within 2 s")
    status, body = answer
    if status == 200:
        return Condition("InService")
    with suppress(ValueError, AttributeError, TypeError):
        # Our own server says why.
        state = STATUS.get(json.loads(body).get("status"), "")
        if state:
            return Condition(state)
    return Condition("Failed", f"its /ping answers {status}")


def end(record: LocalRecord, home: str, keep: str = "") -> None:
    """Let the server of `record` finish its requests and end; nothing of it is left.

    Finishes what an earlier `end` began, also where a keeper was killed.

    Args:
        home: What the endpoint's containers are labelled with.
        keep: Id of the container that stays, if there is one.

    Raises:
        EndpointError: A container may be left, because no Docker engine answers.
    """
    server = record.server()
    if not record.image:
        if server:
            server_process.stop(server, record.control)
        else:
            children.forget(record.pid)
        return
    if server:
        container.end(server)
    else:
        children.forget(record.pid)
    if record.engine_image:
        container.remove_containers(home, keep)
    container.forget(record.control)
