"""Workers that stop without ending, and a server that is frozen."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from .conftest import Server, Start, wait_for

HEAD = """
    import ctypes, os, threading, time

    def hold():
        # PyDLL keeps the GIL during the call, as code does that forgets to release it.
        ctypes.PyDLL(None).sleep(3600)

    def hurt(request):
        if request == "hold":
            threading.Timer(0.05, hold).start()
        if request == "close":
            os.closerange(3, 256)
        return os.getpid()

    def load(): return None
"""
SOURCES = {
    "plain": HEAD + "    def predict(model, request): return hurt(request)\n",
    "batch": HEAD
    + """
    def predict(model, request): raise AssertionError
    def predict_batch(model, requests): return [hurt(each) for each in requests]
""",
    "async": HEAD + "    async def predict(model, request): return hurt(request)\n",
}
SERVING = {"timeout_s": 5}
KINDS = pytest.mark.parametrize("kind", SOURCES)


def replaced(server: Server, before: int) -> None:
    """Another worker answers, and goes on doing so."""
    wait_for(
        lambda: server.ping().status == 200 and server.invoke("").json != before,
        "another worker",
    )
    assert [server.invoke("").status for _ in range(5)] == [200] * 5
    assert server.ping().status == 200


@KINDS
def test_a_worker_whose_gil_is_held_for_ever_after_its_answer_is_replaced(
    start: Start, kind: str
) -> None:
    server = start(SOURCES[kind], serving=SERVING).ready()
    before = server.invoke("hold").json
    time.sleep(0.3)
    # Requests that it never begins are answered by the worker that comes after it.
    with ThreadPoolExecutor(5) as threads:
        replies = list(threads.map(server.invoke, ["", "", "", "", ""]))
    assert {reply.status for reply in replies} <= {200, 504}
    replaced(server, before)
    assert "did not respond; the server killed it" in server.log()
    assert "out of memory" not in server.log()


@KINDS
def test_a_stopped_worker_is_replaced_and_ping_says_so_meanwhile(start: Start, kind: str) -> None:
    source = SOURCES[kind].replace("def load():", "def load(): time.sleep(1);")
    server = start(source, serving=SERVING).ready()
    before = server.invoke("").json
    os.kill(before, signal.SIGSTOP)
    wait_for(lambda: server.ping().status == 503, "an unhealthy ping")
    replaced(server, before)


@KINDS
def test_a_worker_that_closes_its_socket_is_replaced(start: Start, kind: str) -> None:
    server = start(SOURCES[kind], serving=SERVING).ready()
    before = server.invoke("").json
    reply = server.invoke("close")
    assert (reply.status, reply.error["type"]) == (500, "WorkerDied")
    replaced(server, before)
    assert "Traceback" not in server.log()


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_with_several_workers_the_others_answer_while_one_is_silent(start: Start) -> None:
    server = start(SOURCES["plain"], serving={"workers": 2}).ready()
    stopped = server.invoke("").json
    os.kill(stopped, signal.SIGSTOP)
    for _ in range(20):
        assert server.invoke("").status == 200
        assert server.ping().status == 200
    wait_for(lambda: not psutil.pid_exists(stopped), "the end of the stopped worker")
    wait_for(lambda: len(server.workers()) == 3, "two workers and the process that forks them")


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_a_template_that_is_stopped_does_not_keep_workers_from_being_replaced(
    start: Start,
) -> None:
    source = SOURCES["plain"].replace("return os.getpid()", "time.sleep(0.02); return os.getpid()")
    server = start(source, serving={"workers": 2, **SERVING}).ready()
    (template,) = psutil.Process(server.process.pid).children()
    template.suspend()
    psutil.Process(server.invoke("").json).kill()
    wait_for(lambda: not template.is_running(), "the end of the template")

    def two_answer() -> bool:
        with ThreadPoolExecutor(8) as threads:
            return len({reply.json for reply in threads.map(server.invoke, [""] * 8)}) == 2

    wait_for(two_answer, "answers of two workers")


def test_a_worker_that_is_busy_for_longer_than_silence_is_allowed_is_left_alone(
    start: Start,
) -> None:
    source = """
        import ctypes, os
        def load(): return None
        def predict(model, request):
            ctypes.PyDLL(None).sleep(request)
            return os.getpid()
    """
    server = start(source, serving={"timeout_s": 30}).ready()
    before = server.invoke(0).json
    assert server.invoke(12).json == before
    assert server.invoke(0).json == before


@contextlib.contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Stop the front and all workers during the body, as `docker pause` does."""
    everyone = [psutil.Process(server.process.pid), *server.workers()]
    for process in everyone:
        process.suspend()
    try:
        yield
    finally:
        for process in everyone:
            process.resume()


def post(connection: http.client.HTTPConnection, body: str) -> Any:
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


@KINDS
def test_after_a_freeze_every_connection_is_answered_and_no_worker_was_replaced(
    start: Start, kind: str
) -> None:
    # Both limits, for requests and for silence, are shorter than the freeze.
    server = start(SOURCES[kind], serving={"timeout_s": 8}).ready()
    connections = [
        http.client.HTTPConnection("127.0.0.1", server.port, timeout=20) for _ in range(5)
    ]
    before = {post(each, '""') for each in connections}
    time.sleep(1.5)  # A question to the worker may be under way.
    with frozen(server):
        time.sleep(14)
    assert {post(each, '""') for each in connections} == before
    time.sleep(1.5)
    assert {post(each, '""') for each in connections} == before
    assert "killed" not in server.log()


def test_a_request_that_runs_or_arrives_during_a_freeze_is_answered(
    start: Start, tmp_path: Path
) -> None:
    begun, done = tmp_path / "begun", tmp_path / "done"
    source = f"""
        import pathlib, time
        def load(): return None
        def predict(model, request):
            if request == "wait":
                pathlib.Path({str(begun)!r}).touch()
                while not pathlib.Path({str(done)!r}).exists(): time.sleep(0.01)
            return "done"
    """
    server = start(source, serving={"timeout_s": 6}).ready()
    kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    assert post(kept, "0")[0] == 200
    with ThreadPoolExecutor() as threads:
        runs = threads.submit(server.invoke, "wait")
        wait_for(begun.exists, "the beginning of predict")
        with frozen(server):
            arrives = threads.submit(post, kept, "0")
            half = server.connect()
            half.sendall(b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n")
            time.sleep(8)
        done.touch()
        half.sendall(b"content-type: application/json\r\n\r\n0")
        assert half.recv(1000).startswith(b"HTTP/1.1 200")
        assert runs.result().status == 200
        assert arrives.result()[0] == 200
