"""Route requests: check the token, match the path, respond."""

from __future__ import annotations

import asyncio
import functools
import hmac
import json
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from .. import frames
from ..problems import Problem
from .application import Head
from .buffers import Buffers
from .exchange import Exchange
from .hosts import Hosts
from .metrics import Metrics
from .workers import Pool

if TYPE_CHECKING:
    from .tracing import Tracer

State = Literal["loading", "ready", "failed", "draining"]

METHODS = {
    "/ping": ("GET", "HEAD"),
    "/invocations": ("POST",),
    "/metrics": ("GET", "HEAD"),
    "/metrics/history": ("GET", "HEAD"),
    "/docs": ("GET", "HEAD"),
    "/openapi.json": ("GET", "HEAD"),
}

PASSED = (
    b"content-type",
    b"accept",
    b"x-amzn-sagemaker-custom-attributes",
    b"x-amzn-sagemaker-inference-id",
    b"x-amzn-sagemaker-session-id",
)
"""The headers that reach predict: those that SageMaker lets through to a container."""

NOT_KEPT = "cache-control: no-store\r\n"


class Routes:
    """The application behind every connection.

    Args:
        pool: Answers /invocations.
        state: The server's state now.
        token: Required of everything but GET /ping, if not empty.
        max_body: Bytes of a body at most.
        buffers: Counts the bytes of all bodies.
        metrics: For /metrics.
        tracer: Begins a span for each invocation, where that is wanted.
        hosts: The names of a local endpoint; None on SageMaker, which sends any.
    """

    def __init__(
        self,
        pool: Pool,
        state: Callable[[], State],
        token: str,
        max_body: int,
        buffers: Buffers,
        metrics: Metrics,
        tracer: Tracer | None = None,
        hosts: Hosts | None = None,
    ) -> None:
        self._pool = pool
        self._hosts = hosts
        self._metrics = metrics
        self._tracer = tracer
        self._state = state
        self._token = token.encode()
        self.max_body = max_body
        self.buffers = buffers
        self._started = time.monotonic()
        self._prefix = f"{os.getpid():x}-"
        self._count = 0
        self._closing = False
        self._documents: set[asyncio.Task[None]] = set()

    def refuse_from_now(self) -> None:
        """Answer every further invocation with 503."""
        self._closing = True

    def check(self, head: Head) -> None:
        """Refuse what is refused whatever its body is. Raises Problem."""
        if self._hosts is not None:
            self._hosts.check(head.headers)
        if self._token and head.path != "/ping":
            secret = self._secret(head)
            if secret or head.path != "/docs":  # Which asks a person for the token.
                self._authorise(secret)
        methods = METHODS.get(head.path)
        if methods is None:
            known = ", ".join(METHODS)
            raise Problem(404, "NotFound", f"there is no {head.path:.200}; there are {known}")
        if head.method not in methods:
            message = f"{head.path} takes {' and '.join(methods)}, not {head.method}"
            allow = f"allow: {', '.join(methods)}\r\n"
            raise Problem(405, "MethodNotAllowed", message, headers=allow)
        if head.path == "/invocations":
            coding = head.headers.get(b"content-encoding", b"identity").lower()
            if coding != b"identity":
                message = f"Content-Encoding {coding.decode('latin-1')} is not supported"
                raise Problem(415, "UnsupportedContentEncoding", message)
            if not self._pool.ready:
                raise Problem(503, "Loading", "the model is still being loaded")
            if self._closing:
                raise Problem(503, "Draining", "the server is about to end")

    def refused(self, problem: Problem) -> None:
        """Count a request that was refused."""
        self._metrics.refused(problem.status)

    def handle(self, head: Head, body: bytes, exchange: Exchange) -> None:
        """Answer a whole request that `check` let through."""
        if head.path == "/invocations":
            self._invoke(head, body, exchange)
        elif head.path == "/ping":
            self._ping(exchange)
        elif head.path == "/metrics":
            text = self._metrics.prometheus(self._pool.gauges())
            exchange.answer(200, "text/plain; version=0.0.4; charset=utf-8", text)
        elif head.path == "/metrics/history":
            exchange.answer(200, "application/json", self._metrics.history.json())
        elif self._token and not self._secret(head):
            from . import docs

            exchange.answer(401, "text/html; charset=utf-8", docs.token_page(), NOT_KEPT)
        else:
            task = asyncio.get_running_loop().create_task(self._document(head.path, exchange))
            self._documents.add(task)
            task.add_done_callback(self._documents.discard)

    def _secret(self, head: Head) -> bytes:
        # The token that a request brings, or nothing.
        given = head.headers.get(b"authorization", b"")
        scheme, _, secret = given.partition(b" ")
        if scheme.lower() not in (b"token", b"bearer"):
            from urllib.parse import parse_qs

            values = parse_qs(head.query).get("token", [""])
            secret = values[0].encode()
        return secret.strip()

    def _authorise(self, secret: bytes) -> None:
        if not secret:
            message = "a token is needed: send `Authorization: token TOKEN`, or `?token=TOKEN`"
            raise Problem(401, "TokenMissing", message)
        if not hmac.compare_digest(secret, self._token):
            raise Problem(403, "TokenWrong", "the token is not this server's")

    def _ping(self, exchange: Exchange) -> None:
        state: str = self._state()
        if state == "ready" and not self._pool.healthy:
            state = "unhealthy"
        if state == "ready":
            exchange.answer(200, "application/json", b'{"status":"ready"}')
            return
        said: dict[str, Any] = {"status": state}
        if state == "loading":
            said["seconds"] = round(time.monotonic() - self._started, 1)
        exchange.answer(503, "application/json", json.dumps(said).encode())

    def _invoke(self, head: Head, body: bytes, exchange: Exchange) -> None:
        self._count += 1
        name = f"{self._prefix}{self._count:x}"
        headers = head.headers
        passed = [(key, headers[key]) for key in PASSED if key in headers]
        span = None
        if self._tracer is not None:
            span = self._tracer.begin(headers.get(b"traceparent", b"").decode("latin-1"))
            span.attributes["sageturner.request_id"] = name
            passed.append((b"traceparent", span.traceparent.encode()))
        try:
            self._pool.submit(name, frames.request_head(name, passed), body, exchange, span)
        except Problem as problem:
            self.refused(problem)
            exchange.refuse(problem)

    async def _document(self, path: str, exchange: Exchange) -> None:
        # In a thread: an example may be large, and /ping must respond meanwhile.
        from . import docs

        loop = asyncio.get_running_loop()
        token = self._token.decode()
        name = "sageturner.py"
        example = self._pool.described.get("example")
        if path == "/docs":
            data = await loop.run_in_executor(None, docs.page, name, example, token)
            exchange.answer(200, "text/html; charset=utf-8", data, NOT_KEPT)
        else:
            contract = self._pool.described.get("contract")
            warmed = self._pool.described.get("warmed")
            describe = functools.partial(docs.openapi, name, example, bool(token), contract, warmed)
            data = await loop.run_in_executor(None, describe)
            exchange.answer(200, "application/json", data)
