"""Talk to this machine's Docker engine, as far as building and pushing need it."""

from __future__ import annotations

import queue
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import docker
import requests

from sageturner_magic.docker_engine import connect as connect
from sageturner_magic.errors import ImageError
from sageturner_magic.values import Reporter

Message = dict[str, Any]
"""One JSON object of the engine's stream (`stream`, `status`, `error`, `aux`, …)."""


def engine_architecture() -> str:
    """What the engine's own machine is (`amd64`, `arm64`), or empty if none answers."""
    try:
        return str(connect().version(api_version=False)["Arch"])
    except ImageError:
        return ""


def messages(
    client: docker.APIClient, call: Callable[[], Iterator[Message]], reporter: Reporter
) -> Iterator[Message]:
    """What `call` streams, asking `reporter` often whether to stop, also while it is silent.

    Stopping hangs up on the engine, which ends a build or a push. Raises what the call and
    `reporter.checkpoint()` raise.
    """
    received: queue.Queue[Message | BaseException | None] = queue.Queue(maxsize=1000)
    answers: list[requests.Response] = []

    def note(answer: requests.Response, *_: object, **__: object) -> None:
        answers.append(answer)

    def read() -> None:
        try:
            for message in call():
                received.put(message)
        except BaseException as error:
            received.put(error)
        else:
            received.put(None)

    client.hooks["response"].append(note)
    reader = threading.Thread(target=read, name="docker-engine", daemon=True)
    reader.start()
    try:
        while True:
            reporter.checkpoint()
            try:
                message = received.get(timeout=0.2)
            except queue.Empty:
                continue
            if message is None:
                return
            if isinstance(message, BaseException):
                raise message
            yield message
    finally:
        client.hooks["response"].remove(note)
        if reader.is_alive():
            _hang_up(answers)


def _hang_up(answers: list[requests.Response]) -> None:
    for answer in answers:
        connection = getattr(answer.raw, "connection", None)
        if connection is not None and connection.sock is not None:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                # The engine was faster.
                continue


class OutputLines:
    """Whole lines out of text that an engine sends in pieces, without colours."""

    _COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

    def __init__(self) -> None:
        self._begun = ""

    def feed(self, text: str) -> list[str]:
        """The lines that `text` completes."""
        *whole, self._begun = re.split(r"\r?\n|\r", self._begun + self._COLOUR.sub("", text))
        return [line.rstrip() for line in whole if line.strip()]

    def end(self) -> list[str]:
        """The last line, if it is not empty."""
        return self.feed("\n")


def inspect(client: docker.APIClient, reference: str) -> dict[str, Any] | None:
    """What the engine knows of an image, or None if it has none of that name."""
    try:
        found: dict[str, Any] = client.inspect_image(reference)  # type: ignore[no-untyped-call]
    except docker.errors.ImageNotFound:
        return None
    return found
