"""Hostile requests, made by chance: never a crash, never a hang, the right class of status."""

from __future__ import annotations

import concurrent.futures
import io
import json
import random
import re
import socket
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy
import psutil

from . import fuzz
from .conftest import Server

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Za-z -]+\r\n")
Case = tuple[bytes, Callable[[list[int]], bool]]

PROGRAM = """
    def load(): return None
    def predict(model, request): return request
"""
SERVING = {"max_body_mb": 1, "nan": "null"}


FUZZED = fuzz.load(Path(__file__).with_name("fuzzed.jsonl"))
"""What coverage-guided fuzzing found; see `fuzz`."""


def _npz_bomb() -> bytes:
    out = io.BytesIO()
    numpy.savez_compressed(out, a=numpy.zeros(80_000_000, numpy.int8))
    return out.getvalue()


NPZ_BOMB = _npz_bomb()


def post(body: bytes, *lines: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = [b"POST /invocations HTTP/1.1", b"Host: x", b"Content-Length: %d" % size, *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def good(chance: random.Random) -> Case:
    value = [chance.random() for _ in range(chance.randrange(2000))]
    return post(json.dumps(value).encode()), lambda seen: seen == [200]


def pipelined(chance: random.Random) -> Case:
    bodies = [str(chance.randrange(100)).encode() for _ in range(chance.randrange(2, 200))]
    ping = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
    return b"".join(
        post(body) + ping for body in bodies
    ), lambda seen: seen == [200] * (2 * len(bodies))


def bad_body(chance: random.Random) -> Case:
    body = bytes(chance.randrange(256) for _ in range(chance.randrange(60)))
    kinds = (b"application/json", b"text/csv", b"application/x-npy", b"image/png", b"a/b", b"")
    accepts = (
        b"*/*",
        b"application/json",
        b"text/csv;q=x",
        b"application/json;q=0, */*",
        b"*/*;q=0",
        b"a/b",
        b",;q=2,",
        b"application/x-npy",
    )
    lines = (b"Content-Type: " + chance.choice(kinds), b"Accept: " + chance.choice(accepts))
    return post(body, *lines), lambda seen: len(seen) == 1 and (seen[0] < 500)


def gzip_bomb(chance: random.Random) -> Case:
    return post(b"\x1f\x8b" + b"\0" * 1000, b"Content-Encoding: gzip"), lambda seen: seen == [415]


def npz_bomb(chance: random.Random) -> Case:
    kind = b"Content-Type: application/x-npz"
    return post(NPZ_BOMB, kind), lambda seen: seen == [413]


def fuzzed(chance: random.Random) -> Case:
    kind, accept, body = chance.choice(FUZZED)
    lines = (b"Content-Type: " + kind.encode(), b"Accept: " + accept.encode())
    return post(body, *lines), lambda seen: len(seen) == 1 and seen[0] < 500


def noise(chance: random.Random) -> Case:
    data = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 300)))
    return data + b"\r\n\r\n", lambda seen: all(400 <= each <= 501 for each in seen)


def mutated(chance: random.Random) -> Case:
    data = bytearray(post(b"[1, 2, 3]", b"Content-Type: application/json"))
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(len(data))
        if chance.random() < 0.5:
            data[place] = chance.randrange(256)
        else:
            del data[place : place + chance.randrange(4)]
    return bytes(data), lambda seen: all(each == 200 or 400 <= each <= 501 for each in seen)


def smuggled(chance: random.Random) -> Case:
    hidden = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    shapes = (
        post(b"0\r\n\r\n" + hidden, b"Transfer-Encoding: chunked"),
        post(b"0\r\n\r\n" + hidden, b"Transfer-Encoding : chunked"),
        post(b"0\r\n\r\n" + hidden, b"Transfer-Encoding: xchunked"),
        post(b"0\r\n\r\n" + hidden, b"Transfer-Encoding: chunked, identity"),
        post(b"1" + hidden, b"Content-Length: 1"),
        post(b"1" + hidden, b"content-length: 1, 2"),
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n1" + hidden,
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n" + hidden,
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"FFFFFFFFFFFFFFFFF\r\n1\r\n0\r\n\r\n" + hidden,
        b"POST /invocations HTTP/1.1\r\nHost: x\n X: folded\r\nContent-Length: 1\r\n\r\n1" + hidden,
    )
    # What is hidden is never taken for a request: that would be a 404.
    return chance.choice(
        shapes
    ), lambda seen: len(seen) == 1 and 400 <= seen[0] <= 501 and (seen[0] != 404)


def long_headers(chance: random.Random) -> Case:
    line = b"X-%d: " % chance.randrange(100) + b"a" * chance.randrange(70_000, 400_000)
    return post(b"1", line), lambda seen: seen in ([431], [200])


def chunked(chance: random.Random) -> Case:
    body = json.dumps([chance.random() for _ in range(50)]).encode()
    data = [b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"]
    while body:
        size = chance.randrange(1, 100)
        piece, body = body[:size], body[size:]
        data.append(b"%x\r\n%b\r\n" % (len(piece), piece))
    return b"".join([*data, b"0\r\nTrailer: x\r\n\r\n"]), lambda seen: seen == [200]


CASES = (
    good, pipelined, bad_body, gzip_bomb, npz_bomb, fuzzed, noise, mutated, smuggled,
    long_headers, chunked,
)  # fmt: skip


def ask(server: Server, chance: random.Random) -> str:
    """One connection's worth; empty when all is well, otherwise what was not."""
    make = chance.choice(CASES)
    data, fits = make(chance)
    way = chance.choice(("whole", "whole", "in pieces", "cut", "left", "half-closed"))
    received = b""
    with server.connect() as connection:
        connection.settimeout(15)
        try:
            if way == "in pieces":
                for start in range(0, len(data), max(1, len(data) // 4)):
                    connection.sendall(data[start : start + max(1, len(data) // 4)])
                    time.sleep(0.001)
            elif way == "cut":
                connection.sendall(data[: chance.randrange(len(data))])
            else:
                connection.sendall(data)
            if way in ("cut", "left"):
                return ""
            if way == "half-closed":
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
                return ""
            # Another request shows where the answers to the first end, if the connection lives.
            connection.sendall(b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            while piece := connection.recv(65536):
                received += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
        except TimeoutError:
            if make in (noise, mutated):
                return ""  # It may be the beginning of a request that goes on.
            return f"{make.__name__} {way}: no end after {received[:200]!r}"
    seen = [int(status) for status in STATUS.findall(received)]
    if seen and seen[-1] == 404 and make is not noise:
        seen.pop()
    if (seen and fits(seen)) or (make in (noise, mutated) and all(each < 502 for each in seen)):
        return ""
    return f"{make.__name__} {way}: {seen} {data[:300]!r} -> {received[:300]!r}"


@dataclass(frozen=True)
class Outcome:
    """What hostile requests did to a server.

    Attributes:
        seed: Of the requests; request N is made with `random.Random(f"{seed}/{N}")`.
        requests: How many were sent.
        seconds: What they took.
        problems: Each request that was not answered as it should be.
        memory: (requests so far, resident bytes of front and worker), about 200 times.
    """

    seed: int
    requests: int
    seconds: float
    problems: tuple[str, ...]
    memory: tuple[tuple[int, int], ...]

    @property
    def slope(self) -> float:
        """Bytes that memory grows by in 10,000 requests, by least squares after warm-up.

        The first quarter is warm-up.
        """
        settled = self.memory[len(self.memory) // 4 :]
        line = statistics.linear_regression(*zip(*settled, strict=True))
        return line.slope * 10_000


def attack(server: Server, requests: int, seed: int, threads: int = 4) -> Outcome:
    """Send hostile requests from several connections at a time, and watch /ping and memory."""
    (worker,) = server.workers()
    processes = (psutil.Process(server.process.pid), worker)
    problems: list[str] = []
    memory: list[tuple[int, int]] = []
    began = time.monotonic()
    step = max(50, requests // 200)
    with concurrent.futures.ThreadPoolExecutor(threads) as senders:
        for start in range(0, requests, step):
            numbers = range(start, min(start + step, requests))
            said = senders.map(lambda n: (n, ask(server, random.Random(f"{seed}/{n}"))), numbers)
            problems += [f"request {number}: {problem}" for number, problem in said if problem]
            if server.ping().status != 200:
                problems.append(f"after request {numbers[-1]}: /ping is not good")
            memory.append((numbers.stop, sum(each.memory_info().rss for each in processes)))
    if server.workers() != [worker]:
        problems.append("the worker ended")
    if server.invoke([1]).json != [1]:
        problems.append("the server answers wrongly")
    if "Traceback" in server.log() or "Fatal" in server.log():
        problems.append(f"the log: {server.log()[-2000:]}")
    return Outcome(seed, requests, time.monotonic() - began, tuple(problems), tuple(memory))
