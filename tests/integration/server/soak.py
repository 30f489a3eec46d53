"""Load on a server whose processes are killed and frozen all the while.

No request is without an answer, and none has a wrong one.
"""

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
REST_SECONDS = (0.5, 2.0)
"""Between two kills or freezes."""

LASTING_SECONDS = 30.0
"""Within these a worker that is frozen for good is found and its requests are answered."""

SAMPLE_SECONDS = 1.0

PROGRAM = """
    import os, time

    def load(): return os.getpid()

    def predict(model, request):
        if request["do"] == "exit": os._exit(7)
        if request["do"] == "raise": raise ValueError("as asked")
        if request["do"] == "stream": return iter([request["value"]] * 20)
        if request["do"] == "large": return request["value"] * 500
        if request["do"] == "fork":
            child = os.fork()
            if child:
                os.waitpid(child, 0)
            elif request["seconds"]:
                raise ValueError("in a child")
            else:
                return "of a child"
        time.sleep(request["seconds"])
        return request["value"]
"""
SERVING = {"workers": 2, "timeout_s": 20}

STATUSES = {
    **dict.fromkeys(("answer", "stream", "large", "fork"), (200, 500, 503, 504)),
    **dict.fromkeys(("raise", "exit"), (500, 503, 504)),
}
"""What each kind of request may be answered with.

500 is a worker's end, 503 too many of them, 504 a worker that is frozen for good.
"""


@dataclass
class Outcome:
    """What a server did under load.

    Attributes:
        seconds: How long.
        kills: Workers that were killed from outside.
        freezes: Workers, or all processes of the server, that were stopped for a while.
        lasting: Workers that were stopped for good.
        answers: How many requests were answered with each status.
        cut: Streams whose worker was killed after they had begun; the client sees that.
        latencies: Seconds, a sample of at most 100,000 answers with status 200.
        memory: (seconds, resident bytes of the front), once a second.
        problems: Requests that were not answered, or wrongly.
    """

    seconds: float = 0.0
    kills: int = 0
    freezes: int = 0
    lasting: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    cut: int = 0
    latencies: list[float] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def soak(server: Server, seconds: float, seed: int = 1) -> Outcome:
    """Send requests of every kind for `seconds`; kill and freeze processes now and then."""
    outcome = Outcome()
    began = time.monotonic()
    end = began + seconds
    with concurrent.futures.ThreadPoolExecutor(CLIENTS + 1) as threads:
        clients = [
            threads.submit(_client, server, random.Random(f"{seed}/{number}"), end)
            for number in range(CLIENTS)
        ]
        _disturb(server, random.Random(seed), began, end, outcome)
        for client in clients:
            answers, cut, latencies, problems = client.result()
            outcome.answers += answers
            outcome.cut += cut
            outcome.latencies += latencies
            outcome.problems += problems
    outcome.seconds = time.monotonic() - began
    if outcome.answers[504] > CLIENTS * outcome.lasting:
        outcome.problems.append(f"{outcome.answers[504]} requests came too late")
    return outcome


def _disturb(
    server: Server, chance: random.Random, began: float, end: float, outcome: Outcome
) -> None:
    front = psutil.Process(server.process.pid)
    next_kill = next_sample = began
    while (now := time.monotonic()) < end:
        if now >= next_sample:
            next_sample += SAMPLE_SECONDS
            outcome.memory.append((now - began, front.memory_info().rss))
        if now >= next_kill:
            next_kill = now + chance.uniform(*REST_SECONDS)
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                # The first child forks the others, and is killed in a test of its own.
                worker = chance.choice(_workers(front))
                _strike(front, worker, chance, end - now, outcome)
        time.sleep(max(0.0, min(next_kill, next_sample, end) - time.monotonic()))


def _strike(
    front: psutil.Process,
    worker: psutil.Process,
    chance: random.Random,
    left: float,
    outcome: Outcome,
) -> None:
    (how,) = chance.choices(("kill", "freeze", "all", "for good"), (12, 4, 2, 1))
    if how == "kill":
        worker.kill()
        outcome.kills += 1
    elif how == "for good":
        if left > LASTING_SECONDS:
            worker.suspend()
            outcome.lasting += 1
    else:
        stopped = [worker] if how == "freeze" else [front, *front.children(recursive=True)]
        for process in stopped:
            process.suspend()
        time.sleep(chance.uniform(0.1, 3.0))
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        outcome.freezes += 1


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
                body = _slowly(answer) if kind == "large" else answer.read()
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


def _slowly(answer: http.client.HTTPResponse) -> bytes:
    pieces = []
    while piece := answer.read(100_000):
        pieces.append(piece)
        time.sleep(0.005)
    return b"".join(pieces)


@contextlib.contextmanager
def _kept(server: Server) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with contextlib.closing(connection):
        yield connection


def _request(chance: random.Random) -> tuple[str, dict[str, Any]]:
    kinds = {"answer": 860, "stream": 80, "raise": 18, "exit": 2, "fork": 20, "large": 20}
    (kind,) = chance.choices([*kinds], [*kinds.values()])
    value = [chance.random() for _ in range(chance.choice((1, 10, 1000)))]
    return kind, {"do": kind, "value": value, "seconds": chance.choice((0, 0, 0.001, 0.01))}


def _right(kind: str, request: dict[str, Any], body: bytes) -> bool:
    if kind == "stream":
        return [json.loads(line) for line in body.splitlines()] == [request["value"]] * 20
    if kind == "large":
        return bool(json.loads(body) == request["value"] * 500)
    return bool(json.loads(body) == request["value"])
