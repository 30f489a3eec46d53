"""Answers in pieces: generators, async generators, and what happens between them."""

from __future__ import annotations

import concurrent.futures
import json
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import Server, Start, wait_for
from .test_hostile import all_of, post

PROGRAM = """
    import asyncio, pathlib, threading, time

    def load():
        return {"made": 0, "closed": 0}

    {define} predict(model, request, context):
        if request == "state":
            yield [model["made"], model["closed"]]
            return
        try:
            for number in range(request.get("count", 3)):
                model["made"] += 1
                pathlib.Path("made").write_text(str(model["made"]))
                chunk = {"n": number}
                if request.get("text"): chunk = f"word{number} "
                if request.get("size"): chunk = bytes(request["size"])
                yield chunk
                if number == request.get("fail"): raise ValueError("in the middle")
                {sleep}(request.get("sleep", 0))
            if request.get("count") == 0 and request.get("fail") == 0: raise ValueError("at once")
        finally:
            model["closed"] += 1
"""
KINDS = {
    "a generator": ("def", "time.sleep"),
    "an async generator": ("async def", "await asyncio.sleep"),
}


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, start: Start) -> Server:
    define, sleep = KINDS[request.param]
    return start(PROGRAM.replace("{define}", define).replace("{sleep}", sleep)).ready()


def state(server: Server) -> list[int]:
    answer: list[int] = json.loads(server.invoke("state").body)
    return answer


def test_values_are_streamed_as_lines_of_json(server: Server) -> None:
    reply = server.invoke({})
    assert reply.headers["transfer-encoding"] == "chunked"
    assert reply.headers["content-type"] == "application/jsonlines"
    assert [json.loads(line) for line in reply.body.splitlines()] == [
        {"n": 0}, {"n": 1}, {"n": 2},
    ]  # fmt: skip


def test_text_and_bytes_are_streamed_as_they_are(server: Server) -> None:
    text = server.invoke({"text": True})
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.body == b"word0 word1 word2 "
    data = server.invoke({"size": 5, "count": 2}, Accept="audio/wav")
    assert (data.headers["content-type"], data.body) == ("audio/wav", bytes(10))


def test_events_are_streamed_where_they_are_accepted(server: Server) -> None:
    reply = server.invoke({"count": 2, "fail": 1}, Accept="text/event-stream")
    assert reply.headers["content-type"] == "text/event-stream"
    first, second, last, rest = reply.body.decode().split("\n\n")
    assert (first, second, rest) == ('data: {"n":0}', 'data: {"n":1}', "")
    assert last.startswith("event: error\ndata: ") and "in the middle" in last


def test_the_first_piece_arrives_before_the_last_is_made(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(post(b'{"count": 3, "sleep": 0.5, "text": true}'))
        began = time.monotonic()
        received = b""
        while b"word0" not in received:
            received += connection.recv(65536)
        assert time.monotonic() - began < 0.9
        while not received.endswith(b"0\r\n\r\n"):
            received += connection.recv(65536)
    assert time.monotonic() - began > 1


def test_an_empty_stream_is_an_empty_answer(server: Server) -> None:
    reply = server.invoke({"count": 0})
    assert (reply.status, reply.body) == (200, b"")


def test_a_failure_before_the_first_piece_is_an_ordinary_500(server: Server) -> None:
    reply = server.invoke({"count": 0, "fail": 0})
    assert (reply.status, reply.error["message"]) == (500, "at once")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/x-ndjson"])
def test_a_failure_in_the_middle_is_the_last_line_of_an_answer_that_is_not_whole(
    server: Server, accept: str
) -> None:
    with server.connect() as connection:
        connection.sendall(
            post(b'{"fail": 1}', headers=f"Connection: close\r\nAccept: {accept}\r\n".encode())
        )
        head, _, body = all_of(connection).partition(b"\r\n\r\n")
    assert b"json" in head
    assert not body.endswith(b"0\r\n\r\n")
    *_, first, second, last = [json.loads(line) for line in body.splitlines() if line[:1] == b"{"]
    assert (first, second) == ({"n": 0}, {"n": 1})
    assert (last["error"]["type"], last["error"]["message"]) == ("ValueError", "in the middle")
    assert any("in predict" in line for line in last["error"]["traceback"])
    assert "in the middle" in server.log()
    assert server.invoke({}).status == 200


def test_a_failure_in_the_middle_of_text_cuts_the_answer_behind_what_was_yielded(
    server: Server,
) -> None:
    with server.connect() as connection:
        connection.sendall(post(b'{"fail": 1, "text": true}'))
        received = all_of(connection)
    assert received.endswith(b"word0 \r\n6\r\nword1 \r\n")


@pytest.mark.parametrize("accept", ["text/event-stream", "application/jsonlines"])
def test_the_end_of_a_worker_reaches_those_who_read_its_stream(server: Server, accept: str) -> None:
    with server.connect() as connection:
        connection.sendall(
            post(b'{"sleep": 30}', headers=f"Connection: close\r\nAccept: {accept}\r\n".encode())
        )
        received = connection.recv(65536)
        while b'{"n":0}' not in received:
            received += connection.recv(65536)
        for worker in server.workers():
            worker.kill()
        received += all_of(connection)
    *_, last = (line for line in received.splitlines() if b"{" in line)
    assert json.loads(last.removeprefix(b"data: "))["error"]["type"] == "WorkerDied"
    assert received.endswith(b"0\r\n\r\n") == (accept == "text/event-stream")


def test_a_stream_that_cannot_be_sent_as_what_is_accepted_is_refused(server: Server) -> None:
    reply = server.invoke({}, Accept="image/png")
    assert (reply.status, reply.error["type"]) == (406, "NotAcceptable")
    assert "application/jsonlines" in reply.error["message"]
    wait_for(lambda: state(server)[1] == 1, "the generator to be closed")


def test_a_first_piece_without_a_form_is_an_ordinary_500(start: Start) -> None:
    for define in ("def", "async def"):
        server = start(f"""
            def load(): return None
            {define} predict(model, request):
                yield float("nan")
        """).ready()
        reply = server.invoke({})
        assert reply.status == 500
        assert "nan" in reply.error["message"]


def test_a_client_that_leaves_ends_the_stream(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(post(b'{"count": 1000, "sleep": 0.05}'))
        connection.recv(100)
    wait_for(lambda: state(server)[1] == 1, "the generator to be closed")
    assert state(server)[0] < 100


def test_a_client_that_reads_slowly_slows_the_generator_down(server: Server) -> None:
    folder = Path(server.workers()[0].cwd())
    with server.connect() as connection:
        connection.sendall(post(b'{"count": 400, "size": 100000}'))
        connection.recv(100)

        def steady() -> bool:
            before = (folder / "made").read_text()
            time.sleep(0.3)
            return (folder / "made").read_text() == before

        wait_for(steady, "the generator to wait")
        # 40 MB in all: what was made fills the windows and the sockets' buffers, and no more.
        assert int((folder / "made").read_text() or 0) < 200
        received = 0
        while received < 40_000_000:
            received += len(connection.recv(1 << 20))
    assert (folder / "made").read_text() == "400"


def test_http_1_0_gets_the_pieces_without_chunks(server: Server) -> None:
    with server.connect() as connection:
        body = b'{"text": true}'
        connection.sendall(
            b"POST /invocations HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        head, _, received = all_of(connection).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert received == b"word0 word1 word2 "


def test_async_predicts_run_side_by_side(start: Start) -> None:
    source = """
        import asyncio
        def load(): return {"running": 0, "most": 0}
        async def predict(model, request):
            model["running"] += 1
            model["most"] = max(model["most"], model["running"])
            await asyncio.sleep(request)
            model["running"] -= 1
            return model["most"]
    """
    server = start(source).ready()
    with concurrent.futures.ThreadPoolExecutor(20) as threads:
        most = [reply.json for reply in threads.map(server.invoke, [0.5] * 20)]
    assert max(most) == 20


def test_an_async_predict_is_cancelled_when_its_client_leaves(start: Start) -> None:
    source = """
        import asyncio, pathlib
        def load(): return None
        async def predict(model, request):
            pathlib.Path("begun").touch()
            try:
                await asyncio.sleep(request)
            except asyncio.CancelledError:
                pathlib.Path("cancelled").touch()
                raise
            return "slept"
    """
    server = start(source).ready()
    folder = Path(server.workers()[0].cwd())
    with server.connect() as connection:
        connection.sendall(post(b"30"))
        wait_for((folder / "begun").exists, "predict to begin")
    wait_for((folder / "cancelled").exists, "predict to be cancelled")
    assert server.invoke(0).json == "slept"


def test_predicts_that_use_threads_work(start: Start) -> None:
    source = """
        import concurrent.futures
        def load(): return concurrent.futures.ThreadPoolExecutor(4)
        def predict(model, request):
            return list(model.map(lambda value: value * 2, request))
    """
    server = start(source).ready()
    assert server.invoke([1, 2, 3]).json == [2, 4, 6]


def test_an_exception_in_an_async_predict_is_a_500_with_the_users_frames(start: Start) -> None:
    source = """
        def load(): return None
        async def predict(model, request):
            return {}[request]
    """
    error: dict[str, Any] = start(source).ready().invoke("a").error
    assert error["type"] == "KeyError"
    assert any("in predict" in line for line in error["traceback"])
    assert not any("asynchronous" in line for line in error["traceback"])
