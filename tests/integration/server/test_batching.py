"""predict_batch over real sockets."""

from __future__ import annotations

import concurrent.futures
import time
from typing import Any

from .conftest import Start

PROGRAM = """
    import os, time

    def load():
        return {"sizes": []}

    def predict(model, request):
        return predict_batch(model, [request])[0]

    def predict_batch(model, requests):
        if "sizes" in requests: return [model["sizes"] for _ in requests]
        model["sizes"].append(len(requests))
        time.sleep(0.02)
        if "crash" in requests: os._exit(3)
        if "short" in requests: return []
        return [10 // request for request in requests]
"""


def test_requests_that_wait_are_answered_together_each_with_its_own_result(start: Start) -> None:
    server = start(PROGRAM).ready()
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(32) as threads:
        wanted = [1 + number % 10 for number in range(320)]
        replies = list(threads.map(server.invoke, wanted))
    assert [reply.json for reply in replies] == [10 // number for number in wanted]
    sizes = server.invoke("sizes").json
    assert sum(sizes) == 320 and max(sizes) <= 32
    assert len(sizes) < 160
    assert time.monotonic() - began < 320 * 0.02


def test_a_request_that_fails_fails_alone(start: Start) -> None:
    server = start(PROGRAM).ready()
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        wanted: list[Any] = [1, 2, 0, 5, "text", *range(1, 10)] * 4
        replies = list(threads.map(server.invoke, wanted))
    for value, reply in zip(wanted, replies, strict=True):
        if value == 0:
            assert (reply.status, reply.error["type"]) == (500, "ZeroDivisionError")
        elif value == "text":
            assert (reply.status, reply.error["type"]) == (500, "TypeError")
        else:
            assert reply.json == 10 // value
    assert server.invoke(body=b"{").status == 400


def test_a_wrong_number_of_results_is_an_error_that_says_so(start: Start) -> None:
    reply = start(PROGRAM).ready().invoke("short")
    assert (reply.status, reply.error["type"]) == (500, "BatchError")
    assert "returned 0 answers for 1 request" in reply.error["message"]


def test_only_the_batch_of_a_crash_is_lost(start: Start) -> None:
    server = start(PROGRAM, serving={"batch": {"max_size": 4}}).ready()
    with concurrent.futures.ThreadPoolExecutor(40) as threads:
        wanted: list[Any] = [*([5] * 20), "crash", *([2] * 19)]
        replies = list(threads.map(server.invoke, wanted))
    lost = [value for value, reply in zip(wanted, replies, strict=True) if reply.status != 200]
    assert "crash" in lost and len(lost) <= 4
    assert server.invoke(5).json == 2


def test_the_example_request_goes_through_predict_batch(start: Start) -> None:
    source = """
        def load(): return []
        def example_request(): return "example"
        def predict(model, request): raise AssertionError
        def predict_batch(model, requests):
            model.extend(requests)
            return [model] * len(requests)
    """
    assert start(source).ready().invoke("asked").json == ["example", "asked"]
