"""Queue, time limits, slow clients, draining, warm-up."""

from __future__ import annotations

import concurrent.futures
import contextlib
import select
import socket
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from .conftest import Server, Start, wait_for
from .test_hostile import SLEEPER, all_of, post

HELD = """
    import pathlib, time

    def load(): return None

    def predict(model, request):
        pathlib.Path("begun").touch()
        while not pathlib.Path("released").exists(): time.sleep(0.01)
        return "released"
"""


def begun(server: Server) -> Path:
    return Path(server.workers()[0].cwd()) / "begun"


def test_requests_beyond_the_queue_are_429_with_retry_after(start: Start) -> None:
    server = start(SLEEPER, serving={"queue": 4}).ready()
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        replies = list(threads.map(server.invoke, [0.4] * 16))
    statuses = sorted(reply.status for reply in replies)
    assert statuses.count(200) >= 4 and statuses.count(429) >= 8
    refused = next(reply for reply in replies if reply.status == 429)
    assert refused.error["type"] == "Overloaded" and "serving.queue" in refused.error["message"]
    assert refused.headers["retry-after"] == "1"
    assert server.invoke(0).json == "slept"


LARGEST = b"0".ljust(1_000_000)
PIECE = 900_000
KEPT = 10
"""Bodies of the largest size that a server holds, where a quarter of memory is more than that."""

LENGTH = b"Content-Length: 1000000\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % 1_000_000


@pytest.mark.parametrize("framing", [LENGTH, CHUNKED], ids=["length", "chunked"])
def test_bodies_of_many_connections_are_held_up_to_a_bound(start: Start, framing: bytes) -> None:
    server = start(SLEEPER, serving={"max_body_mb": 1}).ready()
    front = psutil.Process(server.process.pid)
    before = front.memory_info().rss
    for _ in range(3):  # What one round holds is let go when its clients leave.
        connections = [server.connect() for _ in range(40)]
        try:
            for connection in connections:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\n" + framing)
                    connection.sendall(b" " * PIECE)
            refused = wait_for(partial(_answered, connections, 40 - KEPT - 1), "the refusals")
            assert len(refused) <= 40 - KEPT + 1
            answer = refused[0].recv(65536)
            assert answer.startswith(b"HTTP/1.1 429 ") and b"retry-after: 1\r\n" in answer
            assert b"serving.max_body_mb" in answer
            assert server.ping().status == 200
            assert front.memory_info().rss - before < 60_000_000
        finally:
            for connection in connections:
                connection.close()
        wait_for(lambda: server.invoke(body=LARGEST).status == 200, "room for a large body again")


def _answered(connections: list[socket.socket], least: int) -> list[socket.socket]:
    readable, _, _ = select.select(connections, [], [], 0)
    return readable if len(readable) >= least else []


def test_bodies_that_wait_for_predict_are_counted_too(start: Start) -> None:
    server = start(SLEEPER, serving={"max_body_mb": 1}).ready()
    for _ in range(2):
        with concurrent.futures.ThreadPoolExecutor(20) as threads:
            first = threads.submit(server.invoke, body=b"1.5".ljust(1_000_000))
            wait_for(begun(server).exists, "predict to begin")
            rest = [threads.submit(server.invoke, body=LARGEST) for _ in range(19)]
            statuses = [each.result().status for each in (first, *rest)]
        assert set(statuses) == {200, 429}
        assert statuses.count(200) >= KEPT - 1
        begun(server).unlink()


def test_a_predict_that_takes_too_long_is_a_504_and_its_worker_is_replaced(start: Start) -> None:
    server = start(SLEEPER, serving={"timeout_s": 1}).ready()
    worker = server.workers()[0].pid
    with concurrent.futures.ThreadPoolExecutor() as threads:
        slow = threads.submit(server.invoke, 60)
        wait_for(begun(server).exists, "predict to begin")
        time.sleep(0.5)
        behind = threads.submit(server.invoke, 0)
        assert slow.result().status == 504
        assert "predict did not answer within 1 s" in slow.result().error["message"]
        # Not begun when the worker was ended: it is served by the next one.
        assert behind.result().json == "slept"
    assert [process.pid for process in server.workers()] != [worker]
    assert server.ping().status == 200
    assert "predict took longer than 1 s (serving.timeout_s); the server killed it" in server.log()
    assert "out of memory" not in server.log()


def test_a_request_that_waited_too_long_is_a_504_that_says_predict_did_not_begin(
    start: Start,
) -> None:
    server = start(SLEEPER, serving={"timeout_s": 1.5}).ready()
    worker = server.workers()[0].pid
    with concurrent.futures.ThreadPoolExecutor() as threads:
        first = threads.submit(server.invoke, 1.2)
        wait_for(begun(server).exists, "predict to begin")
        second = threads.submit(server.invoke, 1.3)
        time.sleep(0.05)
        third = threads.submit(server.invoke, 0)
        assert first.result().json == "slept"
        assert second.result().status == 504
        assert third.result().status in (200, 504)
        if third.result().status == 504:
            assert "did not begin" in third.result().error["message"]
    assert server.invoke(0).json == "slept"
    assert worker


def test_an_async_predict_that_takes_too_long_is_cancelled_and_the_others_go_on(
    start: Start,
) -> None:
    source = """
        import asyncio
        def load(): return None
        async def predict(model, request):
            await asyncio.sleep(request)
            return "slept"
    """
    server = start(source, serving={"timeout_s": 1}).ready()
    worker = server.workers()[0].pid
    with concurrent.futures.ThreadPoolExecutor() as threads:
        slow = threads.submit(server.invoke, 60)
        time.sleep(0.6)
        quick = threads.submit(server.invoke, 0.7)
        assert slow.result().error["type"] == "PredictTimeout"
        assert quick.result().json == "slept"
    assert [process.pid for process in server.workers()] == [worker]


def test_an_async_predict_that_blocks_its_loop_for_too_long_costs_the_worker(start: Start) -> None:
    source = """
        import time
        def load(): return None
        async def predict(model, request):
            time.sleep(request)
            return "slept"
    """
    server = start(source, serving={"timeout_s": 2.5}).ready()
    assert server.invoke(60).error["type"] == "PredictTimeout"
    assert server.invoke(0).json == "slept"


def test_a_stream_may_take_longer_than_the_time_limit_as_long_as_it_goes_on(start: Start) -> None:
    source = """
        import time
        def load(): return None
        def predict(model, request):
            for number in range(request["count"]):
                yield number
                time.sleep(request["sleep"])
    """
    server = start(source, serving={"timeout_s": 1}).ready()
    assert server.invoke({"count": 5, "sleep": 0.4}).body == b"0\n1\n2\n3\n4\n"
    with server.connect() as connection:
        connection.sendall(post(b'{"count": 2, "sleep": 60}'))
        try:
            received = all_of(connection)
        except ConnectionResetError:
            received = b""
    assert not received.endswith(b"0\r\n\r\n")
    assert server.invoke({"count": 1, "sleep": 0}).body == b"0\n"


def test_slow_senders_are_timed_out_and_told_so(start: Start) -> None:
    server = start(SLEEPER).ready()
    pieces = {
        "headers": b"POST /invocations HTTP/1.1\r\nHo",
        "body": post(b"[1, ", 100),
        "second": b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\nGET /pi",
    }
    connections = {name: server.connect() for name in pieces}
    for name, connection in connections.items():
        connection.sendall(pieces[name])
    # A byte now and then does not help against the limit for headers.
    began = time.monotonic()
    dripping = server.connect()
    dripping.settimeout(0.5)
    received = b""
    for byte in b"GET /ping HTTP/1.1\r\nX: " + b"a" * 100:
        try:
            dripping.sendall(bytes([byte]))
            received = dripping.recv(1000)
            break
        except TimeoutError:
            continue
    assert received.startswith(b"HTTP/1.1 408 ") and time.monotonic() - began < 15
    dripping.close()
    for name, connection in connections.items():
        answer = all_of(connection)
        connection.close()
        part = "body" if name == "body" else "headers"
        assert b"HTTP/1.1 408 " in answer and f"the {part} of".encode() in answer
    assert time.monotonic() - began < 25
    assert server.invoke(0).json == "slept"


def test_a_container_says_503_on_ping_while_it_drains(start: Start) -> None:
    server = start(HELD, SAGETURNER_LISTEN_FD="", SAGETURNER_PORT="0", SAGETURNER_HOST="127.0.0.1")
    wait_for(lambda: any("port" in line for line in server.lines()), "the line with the port")
    server.port = next(line["port"] for line in server.lines() if "port" in line)
    server.ready()
    with concurrent.futures.ThreadPoolExecutor() as threads:
        running = threads.submit(server.invoke, 1)
        wait_for(begun(server).exists, "predict to begin")
        released = begun(server).with_name("released")
        try:
            server.terminate()
            draining = wait_for(
                lambda: reply if (reply := server.ping()).status == 503 else None, "a 503"
            )
            assert draining.json["status"] == "draining"
            # It stays so for as long as a request runs.
            time.sleep(1.2)
            assert server.invoke(0).error["type"] == "Draining"
        finally:
            released.touch()
        assert running.result().json == "released"
    assert server.wait() == 0


def test_the_example_request_warms_the_model_up_before_the_first_good_ping(start: Start) -> None:
    source = """
        import time
        def load(): return []
        def example_request(): return {"warm": 1}
        def predict(model, request):
            model.append(request)
            time.sleep(0.5)
            return model
    """
    server = start(source).ready()
    assert server.invoke(1).json == [{"warm": 1}, 1]
    schema = server.request("GET", "/openapi.json").json
    content = schema["paths"]["/invocations"]["post"]["requestBody"]["content"]
    assert {"warm": 1} in content["application/json"]["schema"]["examples"]


def test_a_warm_up_that_fails_is_logged_and_does_not_stop_the_server(start: Start) -> None:
    source = """
        def load(): return None
        def example_request(): return {}
        def predict(model, request): return request["x"]
    """
    server = start(source).ready()
    assert "the warm-up request failed" in server.log() and "in predict" in server.log()
    assert server.invoke({"x": 1}).json == 1


def test_async_models_are_warmed_up_in_the_loop_that_serves(start: Start) -> None:
    source = """
        import asyncio
        def load(): return []
        def example_request(): return "warm"
        async def predict(model, request):
            model.append(asyncio.get_running_loop())
            return [request, len(model), model[0] is model[-1]]
    """
    assert start(source).ready().invoke("asked").json == ["asked", 2, True]


def test_ping_turns_unhealthy_when_restarts_do_not_help_and_healthy_when_they_do(
    start: Start, program: Any
) -> None:
    source = """
        import os, pathlib
        def load():
            if pathlib.Path("broken").exists(): os._exit(5)
        def predict(model, request):
            if request == "crash": os._exit(6)
            return request
    """
    folder = program(source)
    server = start(folder).ready()
    (folder / "broken").touch()
    assert server.invoke("crash").error["type"] == "WorkerDied"
    wait_for(lambda: server.ping().json["status"] == "unhealthy", "an unhealthy ping")
    assert server.invoke(1).status == 503
    (folder / "broken").unlink()
    wait_for(lambda: server.invoke(1).status == 200, "an answer")
    assert server.ping().status == 200
