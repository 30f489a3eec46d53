"""Clients that are slow, leave, or send what no client should."""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from .conftest import Server, Start, wait_for

SLEEPER = """
    import pathlib, time

    def load(): return []

    def predict(model, request):
        if request == "how many": return len(model)
        model.append(request)
        pathlib.Path("begun").touch()
        time.sleep(request)
        return "slept"
"""


def post(body: bytes, length: int | None = None, headers: bytes = b"") -> bytes:
    size = len(body) if length is None else length
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%b\r\n"
    return head % (size, headers) + body


def all_of(connection: Any) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture
def sleeper(start: Start) -> Server:
    return start(SLEEPER).ready()


def test_a_client_that_leaves_during_predict_does_not_keep_the_next_one_waiting(
    sleeper: Server,
) -> None:
    folder = Path(sleeper.workers()[0].cwd())
    with sleeper.connect() as connection:
        connection.sendall(post(b"20"))
        wait_for((folder / "begun").exists, "predict to begin")
    began = time.monotonic()
    assert sleeper.invoke(0).json == "slept"
    assert time.monotonic() - began < 10
    assert sleeper.invoke("how many").json == 2


def test_a_client_that_leaves_while_it_waits_is_never_served(sleeper: Server) -> None:
    folder = Path(sleeper.workers()[0].cwd())
    with concurrent.futures.ThreadPoolExecutor() as threads:
        first = threads.submit(sleeper.invoke, 1)
        wait_for((folder / "begun").exists, "predict to begin")
        for _ in range(5):
            with sleeper.connect() as connection:
                connection.sendall(post(b"7"))
                time.sleep(0.02)
        assert first.result().json == "slept"
    assert sleeper.invoke("how many").json == 1


def test_a_connection_that_closes_in_the_middle_of_a_request_harms_nobody(sleeper: Server) -> None:
    for piece in (b"POST /inv", b"POST /invocations HTTP/1.1\r\nHo", post(b"[1, 2", 100)):
        with sleeper.connect() as connection:
            connection.sendall(piece)
    assert sleeper.invoke(0).json == "slept"


LENGTH_1 = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
GZIPPED = b"POST /invocations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
CHUNKED = b"POST /invocations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST /invocations HTTP/1.1\r\nContent-Length: 1\r\n\r\n1", 400),
        (b"POST /invocations HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 1\r\n\r\n1", 400),
        (LENGTH_1 + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (LENGTH_1 + b"Content-Length: 2\r\n\r\n1", 400),
        (GZIPPED + b"0\r\n\r\n", 501),
        (GZIPPED.replace(b"gzip", b"identity") + b"0\r\n\r\n", 501),
        (CHUNKED.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: identity\r\n\r\n"), 400),
        (CHUNKED.replace(b"Host: a", b"Host: a\r\nTransfer-Encoding: identity"), 400),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 300_000 + b"\r\n\r\n", 431),
        (b"GET ftp://x/ping HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http://x/ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
        (b"GET /ping HTTP/1.0\r\n\r\n", 200),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", 200),
    ],
)
def test_requests_that_no_client_should_send_get_the_right_class_of_status(
    sleeper: Server, request_bytes: bytes, status: int
) -> None:
    with sleeper.connect() as connection:
        connection.sendall(request_bytes)
        answer = all_of(connection)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_client_that_asks_first_is_told_to_continue_or_not_to(sleeper: Server) -> None:
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
    with sleeper.connect() as connection:
        connection.sendall(head + b"Connection: close\r\nContent-Length: 1\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"0")
        assert all_of(connection).startswith(b"HTTP/1.1 200 ")
    with sleeper.connect() as connection:
        connection.sendall(head + b"Content-Length: 99999999\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


TOKEN = {"SAGETURNER_TOKEN": "the token"}


@pytest.mark.parametrize("environment", [{}, TOKEN], ids=["open", "without the token"])
@pytest.mark.parametrize("many", [True, False], ids=["many lines", "one line"])
def test_endless_trailers_end_soon_and_hold_up_nobody(
    start: Start, environment: dict[str, str], many: bool
) -> None:
    server = start("def load(): pass\ndef predict(m, r): return r", **environment).ready()
    front = psutil.Process(server.process.pid)
    before = front.memory_info().rss
    line = b"x: " + b"y" * 997 + (b"\r\n" if many else b"")
    with server.connect() as connection:
        connection.sendall(CHUNKED + b"1\r\n7\r\n0\r\nx: ")

        def cut_off() -> bool:
            try:
                connection.sendall(line * 500)
            except OSError:
                return True
            assert server.ping().status == 200
            assert front.memory_info().rss - before < 20_000_000
            return False

        wait_for(cut_off, "the end of the connection")


def test_trailers_of_a_usual_size_and_small_chunks_are_accepted(sleeper: Server) -> None:
    with sleeper.connect() as connection:
        connection.sendall(CHUNKED)
        body = b"[" + b"0," * 30_000 + b"0]"
        for number in range(0, len(body), 5_000):
            piece = body[number : number + 5_000]
            connection.sendall(b"".join(b"1\r\n%c\r\n" % byte for byte in piece))
        connection.sendall(b"0\r\nx: " + b"y" * 20_000 + b"\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 500")  # A list is not slept.


def test_unread_answers_are_held_up_to_a_bound_and_readers_get_theirs_whole(start: Start) -> None:
    source = """
        def load(): return "x" * 20_000_000
        def predict(model, request): return model
    """
    server = start(source, serving={"max_body_mb": 5}).ready()  # So the bound is 50 MB.
    front = psutil.Process(server.process.pid)
    assert len(server.invoke(0).body) > 20_000_000
    before = front.memory_info().rss
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(server.connect()) for _ in range(20)]
        for reader in readers:
            reader.sendall(post(b"0") * 3)
        wait_for(lambda: server.invoke("").status == 200, "a reader's own answer")
        assert len(server.invoke(0).body) > 20_000_000
        assert front.memory_info().rss - before < 250_000_000
        for reader in readers:
            reader.close()
    assert server.ping().status == 200
