"""Logs and metrics of a running server."""

from __future__ import annotations

import json
from typing import Any

from .conftest import Start

PROGRAM = """
    def load(): return None
    def predict(model, request): return 1 / request
"""


def values(text: str) -> dict[str, float]:
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_metrics_count_requests_by_status_and_latency(start: Start) -> None:
    server = start(PROGRAM, SAGETURNER_TOKEN="t").ready()
    allowed = {"Authorization": "token t"}
    for value in (1, 2, 0):
        server.invoke(value, **allowed)
    server.invoke(body=b"{", **allowed)
    assert server.request("GET", "/metrics").status == 401
    text = server.request("GET", "/metrics", headers=allowed).body.decode()
    told = values(text)
    assert told['sageturner_requests_total{status="200"}'] == 2
    assert told['sageturner_requests_total{status="500"}'] == 1
    assert told['sageturner_requests_total{status="400"}'] == 1
    assert told["sageturner_request_seconds_count"] == 4
    assert told["sageturner_workers"] == 1
    assert told["sageturner_queue_depth"] == 0


def test_metrics_count_batches_and_restarts(start: Start) -> None:
    source = """
        import os
        def load(): return None
        def predict(model, request): raise AssertionError
        def predict_batch(model, requests):
            if "crash" in requests: os._exit(1)
            return requests
    """
    server = start(source).ready()
    server.invoke(1)
    server.invoke("crash")
    server.invoke(2)
    told = values(server.request("GET", "/metrics").body.decode())
    assert told["sageturner_batch_size_count"] == 2
    assert told["sageturner_worker_restarts_total"] == 1


def test_emf_lines_are_written_at_the_end_at_the_latest(start: Start) -> None:
    serving = {"metrics": "emf"}
    server = start(PROGRAM, serving=serving, SAGETURNER_ENDPOINT="digits").ready()
    server.invoke(1)
    server.invoke(0)
    server.terminate()
    assert server.wait() == 0
    (line,) = [line for line in server.lines() if "_aws" in line]
    assert (line["Requests"], line["ServerErrors"], line["Endpoint"]) == (2, 1, "digits")


def test_an_error_is_logged_with_the_ids_of_its_request(start: Start) -> None:
    server = start(PROGRAM).ready()
    server.invoke(0, X_Amzn_SageMaker_Inference_Id="order-7")
    errors: list[dict[str, Any]] = [line for line in server.lines() if line["level"] == "error"]
    (error,) = errors
    assert error["inference_id"] == "order-7" and error["request_id"]
    assert error["traceback"][-1] == "ZeroDivisionError: division by zero"
    assert error["seconds"] >= 0
    assert json.dumps(error)


def test_good_requests_are_not_logged(start: Start) -> None:
    server = start(PROGRAM).ready()
    before = len(server.lines())
    for _ in range(5):
        server.invoke(1)
    assert len(server.lines()) == before
