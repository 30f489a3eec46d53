"""Describe, invoke and delete local endpoints, and read their logs."""

from __future__ import annotations

import difflib
import json
import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import urllib3

from sageturner_magic.aws import explain_model
from sageturner_magic.endpoints import container, server_log
from sageturner_magic.endpoints.clients import client_module
from sageturner_magic.endpoints.kind import EndpointDescription, EndpointKind, Price, Send
from sageturner_magic.endpoints.local import serving
from sageturner_magic.endpoints.local.record import LocalRecord
from sageturner_magic.endpoints.local.state import LocalState
from sageturner_magic.endpoints.payload import EXAMPLE_PATH, JSON, decode, read_example
from sageturner_magic.endpoints.prediction import Prediction, PredictionStream, SentRequest
from sageturner_magic.endpoints.usage import POINTS, Minute, Usage, of_minutes
from sageturner_magic.errors import EndpointError, InvocationError, UsageError
from sageturner_magic.values import Attempt, Request

ASIDE_SECONDS = 5.0
"""How long questions to the server itself may take."""

_OF_SERVER = re.compile(r"\d\d:\d\d:\d\d ")
"""How the server's own lines begin; what belongs to one is indented below it."""

CONTAINER_REQUEST_SECONDS = 60.0
"""How long SageMaker waits for a container's answer to a request."""


@lru_cache(maxsize=8)
def _pool(port: int) -> urllib3.HTTPConnectionPool:
    return urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=64, retries=False)


def _post(
    pool: urllib3.HTTPConnectionPool, sent: SentRequest, timeout_s: float, *, whole: bool = True
) -> urllib3.HTTPResponse:
    """The response; `whole` reads all of it at once. Raises urllib3's errors."""
    answer: urllib3.HTTPResponse = pool.request(  # type: ignore[assignment]
        "POST",
        "/invocations",
        body=sent.body,
        headers=sent.headers,
        timeout=timeout_s,
        preload_content=whole,
    )
    return answer


def _problem(answer: urllib3.HTTPResponse) -> tuple[str, str, list[str]]:
    """Type, message and traceback of the server's error (see `server/problems.py`)."""
    said = decode(answer.data, answer.headers.get("Content-Type", ""))
    error = said.get("error", {}) if isinstance(said, dict) else {}
    message = error.get("message", answer.data.decode("utf-8", "replace"))
    if faults := error.get("faults"):
        message = "; ".join(": ".join(filter(None, (f["at"], f["message"]))) for f in faults)
    return error.get("type", ""), message, error.get("traceback") or []


class LocalEndpoints(EndpointKind):
    """Model servers on this machine, of this user (see `endpoint.Target`)."""

    def __init__(self, state: LocalState | None = None) -> None:
        self.state = state or LocalState()

    def _sent(self, record: LocalRecord, request: Request) -> SentRequest:
        if request.options.target_variant:
            raise UsageError(
                "`--target-variant` needs an endpoint on SageMaker",
                why=f"`{record.name}` runs on this machine, where an endpoint has one variant",
                do="leave it out",
            )
        file = self.state.header_file(record)
        return SentRequest(**vars(request), url=record.url, token=record.token, header_file=file)

    def record(self, name: str) -> LocalRecord:
        """What is written down of endpoint `name`. Raises EndpointError."""
        record = self.state.read(name)
        if record is None:
            raise self.missing(name)
        return record

    def missing(self, name: str, elsewhere: str = "") -> EndpointError:
        """The error for a name that no local endpoint has, and why none was found `elsewhere`."""
        names = self.state.names()
        near = difflib.get_close_matches(name, names, 1)
        others = ", ".join(f"`{other}`" for other in names)
        here = f"on this machine there {'is' if len(names) == 1 else 'are'} {others}"
        return EndpointError(
            f"There is no local endpoint `{name}`",
            why="; ".join(filter(None, (here if names else "", elsewhere))),
            do=f"did you mean `{near[0]}`?"
            if near
            else "`sageturner list` shows all endpoints; `sageturner deploy` creates one",
            code="ST81",
        )

    def list(self) -> list[EndpointDescription]:
        return [
            self._describe(record)
            for name in self.state.names()
            if (record := self.state.read(name)) is not None
        ]

    def describe(self, name: str) -> EndpointDescription:
        return self._describe(self.record(name))

    def _describe(self, record: LocalRecord) -> EndpointDescription:
        found = serving.condition(record)
        parts = ["its record was damaged; deploy it again or delete it"] if record.damaged else []
        if record.image:
            parts.append("container without Docker" if record.unpacked else "container")
        if found.trouble:
            parts.append(found.trouble)
        elif not record.detached:
            parts.append(f"ends with process {record.owner}")
        return EndpointDescription(
            name=record.name,
            endpoint_type="local",
            status=found.status,
            version=record.version,
            created=record.created,
            origin=record.origin,
            url=record.url,
            cost_per_hour=0.0,
            detail=", ".join(parts),
        )

    def logs(self, name: str) -> Iterator[str]:
        return server_log.read(Path(self.record(name).log))

    def follow(self, name: str) -> Iterator[str]:
        record = self.record(name)
        return server_log.follow(Path(record.log), lambda: record.server() is not None)

    def invoke(self, name: str, request: Request) -> Prediction:
        record = self.record(name)
        limit = request.timeout_s
        if record.image:
            limit = min(limit, CONTAINER_REQUEST_SECONDS)
        sent = self._sent(record, request)
        begin = time.perf_counter()
        with self._translated(record, limit):
            answer = _post(_pool(record.port), sent, limit)
            latency = (time.perf_counter() - begin) * 1000
        if answer.status >= 400:
            raise self._refusal(record, answer)
        return Prediction(
            endpoint=name,
            body=answer.data,
            content_type=answer.headers.get("Content-Type", JSON),
            status=answer.status,
            latency_ms=latency,
            headers={key.lower(): value for key, value in answer.headers.items()},
            request=sent,
        )

    def invoke_stream(self, name: str, request: Request) -> PredictionStream:
        record = self.record(name)
        sent = self._sent(record, request)
        begin = time.perf_counter()
        with self._translated(record, sent.timeout_s):
            answer = _post(_pool(record.port), sent, sent.timeout_s, whole=False)
            if answer.status >= 400:
                raise self._refusal(record, answer)

        def chunks() -> Iterator[bytes]:
            with self._translated(record, sent.timeout_s):
                yield from answer.stream()

        return PredictionStream(
            endpoint=name,
            status=answer.status,
            content_type=answer.headers.get("Content-Type", JSON),
            chunks=chunks(),
            close=answer.close,
            request=sent,
            begin=begin,
        )

    @contextmanager
    def _translated(self, record: LocalRecord, limit: float) -> Iterator[None]:
        """What goes wrong with the connection, as an InvocationError."""
        name = record.name
        try:
            yield
        except urllib3.exceptions.ReadTimeoutError:
            contained = record.image and limit == CONTAINER_REQUEST_SECONDS
            raise InvocationError(
                f"Endpoint `{name}` did not answer within {limit:g} s",
                why="SageMaker waits no longer for a container" if contained else "",
                do=f"look at `sageturner logs {name}`",
                details=_tail(record),
                code="ST92",
            ) from None
        except urllib3.exceptions.HTTPError as error:
            ended = record.server() is None
            broken = isinstance(error, urllib3.exceptions.ProtocolError) and not ended
            raise InvocationError(
                "The response broke off" if broken else f"Endpoint `{name}` cannot be reached",
                why="its server has ended"
                if ended
                else "the connection was closed before its end"
                if broken
                else str(error),
                do="deploy it again" if ended else f"look at `sageturner logs {name}`",
                where=record.url,
                details=_tail(record),
                code="ST93" if broken else "ST95",
            ) from None

    def _refusal(self, record: LocalRecord, answer: urllib3.HTTPResponse) -> InvocationError:
        status = answer.status
        kind, message, traceback = _problem(answer)
        frames = server_log.with_cells("\n".join(traceback), record.lines)
        if frames:
            known = explain_model(f"{kind}: {message}")
            return InvocationError(
                f"predict raised {kind}",
                where=f"endpoint {record.name}, HTTP {status}",
                why=message,
                do=known.do if known else "change the request, or fix the code and deploy again",
                details="\n\n".join(filter(None, (frames, _printed(record)))),
                status=status,
                code="ST91",
            )
        return InvocationError(
            f"Endpoint `{record.name}` refused the request",
            where=f"HTTP {status}",
            why=f"{kind}: {message}" if kind else message,
            do=f"see `sageturner logs {record.name}`" if status >= 500 else "change the request",
            details=_tail(record) if status >= 500 else "",
            status=status,
        )

    def sender(self, name: str, request: Request, connections: int) -> Send:
        record = self.record(name)
        sent = self._sent(record, request)
        pool = urllib3.HTTPConnectionPool(
            "127.0.0.1", record.port, maxsize=connections, block=True, retries=False
        )

        def send() -> Attempt:
            try:
                answer = _post(pool, sent, sent.timeout_s)
            except urllib3.exceptions.ReadTimeoutError:
                return Attempt(None, f"no answer within {sent.timeout_s:g} s")
            except urllib3.exceptions.HTTPError as error:
                return Attempt(None, "the connection failed", str(error))
            if answer.status < 400:
                return Attempt(answer.status, size=len(answer.data))
            kind, said, _ = _problem(answer)
            return Attempt(answer.status, f"HTTP {answer.status} {kind}".strip(), said)

        return send

    def example_request(self, name: str) -> object:
        try:
            return read_example(self._ask(name, EXAMPLE_PATH))
        except (urllib3.exceptions.HTTPError, ValueError, LookupError, TypeError):
            return None

    def client_module(self, name: str) -> str:
        record = self.record(name)
        try:
            document = json.loads(self._ask(name, "/openapi.json"))
            return client_module(name, document, record.url, self.state.header_file(record))
        except (urllib3.exceptions.HTTPError, ValueError, LookupError) as error:
            raise EndpointError(
                f"The types of `{name}` cannot be read",
                why=f"its server does not describe itself: {error}",
                do=f"deploy it again: `sageturner deploy {name} -e local`",
            ) from None

    def _ask(self, name: str, path: str) -> bytes:
        """The server's own answer to GET. Raises urllib3's errors."""
        record = self.record(name)
        headers = {"Authorization": f"token {record.token}"} if record.token else {}
        answer = _pool(record.port).request("GET", path, headers=headers, timeout=ASIDE_SECONDS)
        return bytes(answer.data)

    def usage(self, name: str, hours: float) -> Usage:
        period = math.ceil(hours * 3600 / POINTS / 60) * 60
        count = math.ceil(hours * 3600 / period)
        start = (time.time() // 60 + 1) * 60 - count * period
        try:
            minutes = [Minute(**each) for each in json.loads(self._ask(name, "/metrics/history"))]
        except (urllib3.exceptions.HTTPError, ValueError, TypeError) as error:
            raise EndpointError(
                f"The requests to `{name}` are not known",
                why="its server does not answer"
                if isinstance(error, urllib3.exceptions.HTTPError)
                else "its server is of another version",
                do="deploy it again",
                code="ST89",
            ) from None
        return of_minutes(minutes, start=start, period_s=period, count=count)

    def price(self, name: str) -> Price:
        return Price(0.0, 0.0)

    def delete(self, name: str) -> None:
        record = self.record(name)
        with self.state.changing(name):
            serving.end(record, str(self.state.folder(name)))
            for image in self.state.engine_images(record):
                container.remove_image(image)
            self.state.remove(name)


def _tail(record: LocalRecord) -> str:
    return server_log.tail(Path(record.log), record.lines)


def _printed(record: LocalRecord) -> str:
    """The last lines of the model's own code, without the lines of the server."""
    lines = []
    of_server = False
    for line in _tail(record).splitlines():
        of_server = bool(_OF_SERVER.match(line)) or (of_server and line.startswith("    "))
        if not of_server:
            lines.append(line)
    return "\n".join(["Its code printed last:", *lines]) if lines else ""
