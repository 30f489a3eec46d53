"""Load on a server whose workers are killed all the while: no request without an answer."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil

from .conftest import Server

CLIENTS = 8
KILL_SECONDS = (0.5, 2.0)
"""Between two kills of a worker."""

SAMPLE_SECONDS = 1.0

PROGRAM = """
    import os, time

    def load(): return os.getpid()

    def predict(model, request):
        if request["do"] == "exit": os._exit(7)
        if request["do"] == "raise": raise ValueError("as asked")
        if request["do"] == "stream": return iter([request["value"]] * 20)
        time.sleep(request["seconds"])
        return request["value"]
"""
SERVING = {"workers": 2, "timeout_s": 20}

STATUSES = {"answer": (200, 500, 503), "stream": (200, 500, 503), "raise": (500, 503),
            "exit": (500, 503)}  # fmt: skip
"""What each kind of request may be answered with; 500 is a worker's end, 503 too many of them."""


@dataclass
class Outcome:
    """What a server did under load.

    Attributes:
        seconds: How long.
        kills: Workers that were killed from outside.
        answers: How many requests were answered with each status.
        cut: Streams whose worker was killed after they had begun; the client sees that.
        latencies: Seconds, a sample of at most 100,000 answers with status 200.
        memory: (seconds, resident bytes of the front), once a second.
        problems: Requests that were not answered, or wrongly.
    """

    seconds: float = 0.0
    kills: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    cut: int = 0
    latencies: list[float] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def soak(server: Server, seconds: float, seed: int = 1) -> Outcome:
    """Send requests of every kind for `seconds`, and kill a worker now and then."""
    outcome = Outcome()
    began = time.monotonic()
    end = began + seconds
    with concurrent.futures.ThreadPoolExecutor(CLIENTS + 1) as threads:
        clients = [
            threads.submit(_client, server, random.Random(f"{seed}/{number}"), end)
            for number in range(CLIENTS)
        ]
        _kill_workers(server, random.Random(seed), began, end, outcome)
        for client in clients:
            answers, cut, latencies, problems = client.result()
            outcome.answers += answers
            outcome.cut += cut
            outcome.latencies += latencies
            outcome.problems += problems
    outcome.seconds = time.monotonic() - began
    return outcome


def _kill_workers(
    server: Server, chance: random.Random, began: float, end: float, outcome: Outcome
) -> None:
    front = psutil.Process(server.process.pid)
    next_kill = next_sample = began
    while (now := time.monotonic()) < end:
        if now >= next_sample:
            next_sample += SAMPLE_SECONDS
            outcome.memory.append((now - began, front.memory_info().rss))
        if now >= next_kill:
            next_kill = now + chance.uniform(*KILL_SECONDS)
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                # The first child forks the others, and is killed in a test of its own.
                chance.choice(_workers(front)).kill()
                outcome.kills += 1
        time.sleep(max(0.0, min(next_kill, next_sample, end) - time.monotonic()))


def _workers(front: psutil.Process) -> list[psutil.Process]:
    return [worker for template in front.children() for worker in template.children()]


def _client(
    server: Server, chance: random.Random, end: float
) -> tuple[Counter[int], int, list[float], list[str]]:
    answers: Counter[int] = Counter()
    latencies: list[float] = []
    problems: list[str] = []
    cut = 0
    with _kept(server) as connection:
        while time.monotonic() < end:
            kind, request = _request(chance)
            began = time.monotonic()
            try:
                connection.request("POST", "/invocations", json.dumps(request))
                answer = connection.getresponse()
                status = answer.status
                body = answer.read()
            except http.client.IncompleteRead:
                cut += 1  # The answer had begun; that it is broken off is what can still be said.
                connection.close()
                continue
            except (OSError, http.client.HTTPException) as error:
                problems.append(f"{request['do']}: no answer: {error!r}")
                connection.close()
                continue
            answers[status] += 1
            if status not in STATUSES[kind]:
                problems.append(f"{kind}: status {status}: {body[:200]!r}")
            elif status != 200:
                time.sleep(0.01)
            elif not _right(kind, request, body):
                problems.append(f"{kind}: wrong answer {body[:200]!r} to {request['value']!r:.80}")
            elif len(latencies) < 100_000 // CLIENTS:
                latencies.append(time.monotonic() - began)
    return answers, cut, latencies, problems


@contextlib.contextmanager
def _kept(server: Server) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with contextlib.closing(connection):
        yield connection


def _request(chance: random.Random) -> tuple[str, dict[str, Any]]:
    (kind,) = chance.choices(("answer", "stream", "raise", "exit"), (900, 80, 18, 2))
    value = [chance.random() for _ in range(chance.choice((1, 10, 1000)))]
    return kind, {"do": kind, "value": value, "seconds": chance.choice((0, 0, 0.001, 0.01))}


def _right(kind: str, request: dict[str, Any], body: bytes) -> bool:
    if kind == "stream":
        return [json.loads(line) for line in body.splitlines()] == [request["value"]] * 20
    return bool(json.loads(body) == request["value"])
