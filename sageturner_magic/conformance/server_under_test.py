"""A running server that is checked, and one request to it.

For the rules; knows none of them.
"""

from __future__ import annotations

import http.client
import socket
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

PING_SECONDS = 2.0
"""SageMaker's limit for an answer to /ping."""

ANSWER_SECONDS = 60.0
"""SageMaker's limit for an answer to /invocations."""


class Broken(Exception):
    """A rule is broken; the message is the evidence."""


class Unanswered(Broken):
    """A request got no answer in time, or no connection."""


class Skipped(Exception):
    """A rule cannot be asked; the message says why."""


@dataclass(frozen=True)
class Answer:
    """Status, headers (lower case), body, and the seconds it took."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


@dataclass(frozen=True)
class ServerUnderTest:
    """A running server and a request that its model can answer.

    Attributes:
        host: Name or address.
        port: Port.
        prefix: Of the paths; empty in a container.
        headers: Sent with everything, a token for example.
        body: A good request to /invocations; None if none is known.
        content_type: Of `body`.
        answer_seconds: How long an answer to /invocations may take.
    """

    host: str
    port: int
    prefix: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"
    answer_seconds: float = ANSWER_SECONDS

    @classmethod
    def at(
        cls,
        url: str,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> ServerUnderTest:
        """The server at `url`, http only. Raises ValueError for anything else."""
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{url} is not of the form http://host:port")
        prefix = parts.path.rstrip("/")
        return cls(parts.hostname, parts.port or 80, prefix, headers or {}, body, content_type)

    def connect(self, timeout: float | None = None) -> http.client.HTTPConnection:
        """A new connection, opened at the first request."""
        return http.client.HTTPConnection(
            self.host, self.port, timeout=timeout or self.answer_seconds
        )

    def listens(self) -> bool:
        """Whether the port takes connections."""
        try:
            socket.create_connection((self.host, self.port), PING_SECONDS).close()
        except OSError:
            return False
        return True

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        connection: http.client.HTTPConnection | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """One request. Raises Unanswered when there is no answer."""
        own = connection or self.connect(timeout)
        began = time.monotonic()
        try:
            own.request(method, self.prefix + path, body, {**self.headers, **(headers or {})})
            reply = own.getresponse()
            data = reply.read()
        except (OSError, http.client.HTTPException) as error:
            kind = type(error).__name__
            raise Unanswered(f"{method} {path} was not answered: {kind} {error}".strip()) from None
        finally:
            if connection is None:
                own.close()
        seconds = time.monotonic() - began
        lower = {name.lower(): value for name, value in reply.getheaders()}
        return Answer(reply.status, lower, data, seconds)

    def ping(self, timeout: float = PING_SECONDS) -> Answer:
        """GET /ping."""
        return self.ask("GET", "/ping", timeout=timeout)

    def invoke(
        self,
        body: Any = None,
        headers: dict[str, str] | None = None,
        connection: http.client.HTTPConnection | None = None,
    ) -> Answer:
        """POST /invocations; with the good request if `body` is None."""
        if body is None:
            if self.body is None:
                raise Skipped("no example request is known (--body)")
            body = self.body
        content = {"Content-Type": self.content_type, **(headers or {})}
        return self.ask("POST", "/invocations", body, content, connection)
