"""The rules of the container contract, each checked on a running server.

Source of the required ones: AWS, "Custom inference code with hosting services". The advised ones
are what callers of an endpoint run into.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Literal

from .server_under_test import PING_SECONDS, Answer, Broken, ServerUnderTest, Skipped, Unanswered

Verdict = Literal["passed", "failed", "skipped"]

ACCEPT_SECONDS = 0.25
"""SageMaker's limit for a connection to be accepted."""

START_SECONDS = 480.0
"""SageMaker's default limit for the first good ping."""

LARGE = 6_000_000
"""Bytes of a body that SageMaker passes on (its runtime's limit is 6,291,456)."""


@dataclass(frozen=True)
class Result:
    """What became of one rule.

    Attributes:
        rule: Its short name.
        text: What it asks for.
        required: Whether SageMaker requires it; otherwise it is advised.
        outcome: Whether it was kept.
        evidence: What was seen.
    """

    rule: str
    text: str
    required: bool
    outcome: Verdict
    evidence: str


@dataclass(frozen=True)
class Rule:
    """A rule and how it is asked: `ask` returns evidence or raises Broken or Skipped."""

    name: str
    text: str
    required: bool
    ask: Callable[[ServerUnderTest], str]


RULES: list[Rule] = []
"""All rules for a running server, in the order in which they are asked."""


def rule(
    name: str, text: str, required: bool
) -> Callable[[Callable[[ServerUnderTest], str]], Rule]:
    """Adds a function to RULES."""

    def add(ask: Callable[[ServerUnderTest], str]) -> Rule:
        made = Rule(name, text, required, ask)
        RULES.append(made)
        return made

    return add


def _exactly_200(answer: Answer) -> Answer:
    if answer.status != 200:
        raise Broken(f"status {answer.status}: {answer.body[:200].decode('utf-8', 'replace')}")
    return answer


def _good(answer: Answer) -> Answer:
    if not 200 <= answer.status < 300:
        raise Broken(f"status {answer.status}: {answer.body[:200].decode('utf-8', 'replace')}")
    return answer


@rule("ping", "GET /ping answers 200 within 2 s", required=True)
def _ping(target: ServerUnderTest) -> str:
    slowest = max(_exactly_200(target.ping()).seconds for _ in range(20))
    return f"20 pings, the slowest {slowest * 1000:.1f} ms"


@rule("accept", "connections are accepted within 250 ms", required=True)
def _accept(target: ServerUnderTest) -> str:
    slowest = 0.0
    for _ in range(20):
        began = time.monotonic()
        try:
            socket.create_connection((target.host, target.port), ACCEPT_SECONDS).close()
        except OSError as error:
            raise Broken(f"not accepted: {error}") from None
        slowest = max(slowest, time.monotonic() - began)
    return f"20 connections, the slowest {slowest * 1000:.1f} ms"


@rule("invocations", "POST /invocations answers 200 within 60 s", required=True)
def _invocations(target: ServerUnderTest) -> str:
    answer = _exactly_200(target.invoke())
    return f"{answer.status} after {answer.seconds * 1000:.1f} ms, {len(answer.body)} bytes"


@rule("ping-while-busy", "/ping answers within 2 s while predictions run", required=True)
def _ping_while_busy(target: ServerUnderTest) -> str:
    if target.body is None:
        raise Skipped("no example request is known (--body)")
    times = []
    with _at_once(target, 8) as running:
        while not all(each.done() for each in running):
            times.append(_good(target.ping()).seconds)
        for each in running:
            _answered(each.result())
    slowest = max(times, default=0.0)
    return f"{len(times)} pings beside 64 invocations, the slowest {slowest * 1000:.1f} ms"


@contextlib.contextmanager
def _at_once(target: ServerUnderTest, width: int) -> Iterator[list[Future[Answer]]]:
    """64 invocations, `width` at a time; those that wait are given up when the block fails."""
    threads = ThreadPoolExecutor(width)
    try:
        yield [threads.submit(target.invoke) for _ in range(64)]
    finally:
        threads.shutdown(cancel_futures=True)


def _answered(answer: Answer) -> None:
    # 429 and 503 say honestly that it is too much at once.
    if answer.status not in (429, 503):
        _good(answer)


@rule("headers", "the headers that SageMaker passes on are accepted", required=True)
def _headers(target: ServerUnderTest) -> str:
    sent = {
        "Accept": "*/*",
        "X-Amzn-SageMaker-Custom-Attributes": "trace=1;" + "x" * 1000,
        "X-Amzn-SageMaker-Inference-Id": "conformance-1",
        "X-Amzn-SageMaker-Session-Id": "session-1",
    }
    return f"{_good(target.invoke(headers=sent)).status} with Custom-Attributes of 1,008 characters"


@rule("keep-alive", "a connection serves several requests", required=False)
def _keep_alive(target: ServerUnderTest) -> str:
    with contextlib.closing(target.connect()) as connection:
        for _ in range(3):
            _good(target.invoke(connection=connection))
            if connection.sock is None:
                raise Broken("the server closed the connection after an answer")
    return "3 requests on one connection"


@rule("after-an-error", "a connection outlives a request that failed", required=False)
def _after_an_error(target: ServerUnderTest) -> str:
    if target.body is None:
        raise Skipped("no example request is known (--body)")
    with contextlib.closing(target.connect()) as connection:
        failed = target.invoke(b"{", connection=connection)
        if failed.status < 400:
            raise Skipped(f"a body that is not JSON got {failed.status}")
        if connection.sock is None:
            raise Broken(f"the connection was closed after a {failed.status}")
        _good(target.invoke(connection=connection))
    return f"a {failed.status}, then a good answer"


def _client_error(answer: Answer) -> str:
    if not 400 <= answer.status < 500:
        text = answer.body[:120].decode("utf-8", "replace")
        raise Broken(f"status {answer.status}, not a 4xx: {text}")
    return f"{answer.status}: {answer.body[:120].decode('utf-8', 'replace')}"


@rule("bad-json", "a body that is not JSON is a 4xx", required=False)
def _bad_json(target: ServerUnderTest) -> str:
    evidence = _client_error(target.invoke(b'{"a": [1, 2', {"Content-Type": "application/json"}))
    target.ping()  # It still answers, whatever it says.
    return evidence


@rule("empty-body", "an empty body is a 4xx", required=False)
def _empty_body(target: ServerUnderTest) -> str:
    return _client_error(target.invoke(b"", {"Content-Type": "application/json"}))


@rule(
    "content-type", "a content type that is not supported is a 415 (or another 4xx)", required=False
)
def _content_type(target: ServerUnderTest) -> str:
    return _client_error(target.invoke(b"a", {"Content-Type": "application/x-nobody-knows"}))


@rule("error-body", "an error has a JSON body that says what is wrong", required=False)
def _error_body(target: ServerUnderTest) -> str:
    answer = target.invoke(b"{", {"Content-Type": "application/json"})
    if answer.status < 400:
        raise Skipped(f"a body that is not JSON got {answer.status}")
    try:
        said = json.loads(answer.body)
    except ValueError:
        raise Broken(f"{answer.status} with {answer.body[:120]!r}") from None
    if not said or not isinstance(said, dict):
        raise Broken(f"{answer.status} with {said!r}")
    return f"{answer.status} with the keys {', '.join(said)}"


@rule("valid-json", "an answer that calls itself JSON is JSON, without NaN", required=False)
def _valid_json(target: ServerUnderTest) -> str:
    answer = _good(target.invoke())
    if "json" not in answer.headers.get("content-type", ""):
        raise Skipped(f"the answer is {answer.headers.get('content-type', 'untyped')}")

    def refuse(constant: str) -> None:
        raise Broken(f"the answer contains {constant}")

    try:
        json.loads(answer.body, parse_constant=refuse)
    except ValueError as error:
        raise Broken(f"the answer is not JSON: {error}") from None
    return f"{len(answer.body)} bytes of JSON"


@rule("other-paths", "other paths and methods are 404 and 405, not errors", required=False)
def _other_paths(target: ServerUnderTest) -> str:
    nothing = target.ask("GET", "/no-such-path").status
    method = target.ask("GET", "/invocations").status
    if nothing != 404 or method not in (404, 405):
        raise Broken(f"GET /no-such-path is {nothing}, GET /invocations is {method}")
    return f"{nothing} and {method}"


@rule("chunked", "a body with chunked transfer encoding is accepted", required=False)
def _chunked(target: ServerUnderTest) -> str:
    if target.body is None:
        raise Skipped("no example request is known (--body)")
    half = len(target.body) // 2
    pieces = iter([piece for piece in (target.body[:half], target.body[half:]) if piece])
    return f"{_good(target.invoke(pieces)).status}"


@rule("concurrency", "16 requests at once are all answered", required=True)
def _concurrency(target: ServerUnderTest) -> str:
    if target.body is None:
        raise Skipped("no example request is known (--body)")
    with _at_once(target, 16) as running:
        answers = [each.result() for each in as_completed(running)]
    for answer in answers:
        _answered(answer)
    refused = sum(answer.status in (429, 503) for answer in answers)
    if refused == len(answers):
        raise Broken(f"all {refused} were refused")
    return f"64 answers, {refused} of them refusals"


@rule("large-body", "a request of 6 MB is answered", required=True)
def _large_body(target: ServerUnderTest) -> str:
    if target.body is None or "json" not in target.content_type:
        raise Skipped("only a JSON request (--body) can be made longer without changing it")
    answer = target.invoke(target.body + b" " * (LARGE - len(target.body)))
    if answer.status == 413:
        raise Broken("413: SageMaker passes bodies of this size on")
    return f"{_good(answer).status} after {answer.seconds * 1000:.0f} ms"


@rule("half-a-request", "a request that stops in the middle holds up nobody", required=False)
def _half_a_request(target: ServerUnderTest) -> str:
    path = f"{target.prefix}/invocations"
    pieces = (
        f"POST {path}",
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{",
    )
    with contextlib.ExitStack() as stack:
        for piece in pieces * 8:
            connection = socket.create_connection((target.host, target.port), PING_SECONDS)
            stack.enter_context(connection)
            connection.sendall(piece.encode())
        slowest = max(_good(target.ping()).seconds for _ in range(5))
    return f"/ping beside 16 of them took {slowest * 1000:.1f} ms"


@rule("gone-client", "clients that leave before their answer do no harm", required=False)
def _gone_client(target: ServerUnderTest) -> str:
    if target.body is None:
        raise Skipped("no example request is known (--body)")
    head = (
        f"POST {target.prefix}/invocations HTTP/1.1\r\nHost: x\r\n"
        f"Content-Type: {target.content_type}\r\nContent-Length: {len(target.body)}\r\n"
        + "".join(f"{name}: {value}\r\n" for name, value in target.headers.items())
        + "\r\n"
    ).encode()
    for _ in range(16):
        with socket.create_connection((target.host, target.port), PING_SECONDS) as connection:
            connection.sendall(head + target.body)
    answer = _good(target.invoke())
    return f"16 left; the next answer took {answer.seconds * 1000:.1f} ms"


class Inquiry:
    """One server, asked for one rule after the other.

    When it does not answer any more, the rules that follow are skipped: each would wait for its
    time limit.
    """

    def __init__(self, target: ServerUnderTest) -> None:
        self._target = target
        self._silent = ""

    def ask(self, rule: Rule) -> Result:
        """Ask for one rule. Never raises for what the server does."""
        outcome: Verdict = "passed"
        try:
            if self._silent:
                raise Skipped(self._silent)
            evidence = rule.ask(self._target)
        except Broken as broken:
            outcome, evidence = "failed", str(broken)
            if isinstance(broken, Unanswered) and not self._still_answers(rule):
                self._silent = f"the server does not answer since the rule {rule.name}"
        except Skipped as skipped:
            outcome, evidence = "skipped", str(skipped)
        except OSError as error:
            outcome, evidence = "failed", f"{type(error).__name__}: {error}"
        evidence = " ".join(evidence.split())
        return Result(rule.name, rule.text, rule.required, outcome, evidence)

    def _still_answers(self, rule: Rule) -> bool:
        if rule.name == "ping":  # It is slow, or nothing is there.
            return self._target.listens()
        try:
            self._target.ping()
        except Unanswered:
            return False
        return True


def check(
    target: ServerUnderTest,
    rules: Sequence[Rule] | None = None,
    progress: Callable[[Rule], object] = lambda rule: None,
) -> tuple[Result, ...]:
    """Ask a running server for every rule, in order. Never raises for what the server does.

    Args:
        target: The server.
        rules: All by default.
        progress: Called before each rule.
    """
    inquiry, results = Inquiry(target), []
    for each in RULES if rules is None else rules:
        progress(each)
        results.append(inquiry.ask(each))
    return tuple(results)


def wait_until_ready(
    target: ServerUnderTest,
    seconds: float = START_SECONDS,
    alive: Callable[[], bool] = lambda: True,
) -> Result:
    """Wait for the first good ping, as SageMaker does after it has started a container.

    Args:
        target: The server.
        seconds: How long to wait.
        alive: Nothing is waited for any more once this is false.
    """
    began = time.monotonic()
    statuses: list[str] = []
    outcome: Verdict = "failed"
    while time.monotonic() - began < seconds and outcome == "failed" and alive():
        try:
            said = str(target.ping().status)
        except Unanswered:
            said = "no answer"
        if not statuses or statuses[-1] != said:
            statuses.append(said)
        if said == "200":
            outcome = "passed"
        else:
            time.sleep(0.1)
    took = time.monotonic() - began
    evidence = f"{' -> '.join(statuses)} after {took:.1f} s"
    text = f"the first good ping comes within {seconds:g} s"
    return Result("start", text, True, outcome, evidence)
