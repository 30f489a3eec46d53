"""Logs and metrics of a running server."""

from __future__ import annotations

import http.server
import json
import threading
from typing import Any, ClassVar

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


class Collector(http.server.BaseHTTPRequestHandler):
    received: ClassVar[list[tuple[str, dict[str, str], Any]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, dict(self.headers), json.loads(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


def test_traces_are_sent_where_opentelemetrys_variables_ask_for_them(start: Start) -> None:
    collector = http.server.HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    try:
        source = """
            def load(): return None
            def predict(model, request, context): return context.headers["traceparent"][request]
        """
        server = start(
            source,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.server_port}",
            OTEL_EXPORTER_OTLP_HEADERS="api-key=a%20b",
            OTEL_SERVICE_NAME="digits",
        ).ready()
        trace, parent = "1" * 32, "2" * 16
        server.invoke(0, traceparent=f"00-{trace}-{parent}-01")
        server.invoke("not an index")
        server.invoke(0, traceparent=f"00-{trace}-{parent}-00")
        server.terminate()
        assert server.wait() == 0
    finally:
        collector.shutdown()
        thread.join()
        collector.server_close()
    spans = []
    for path, headers, message in Collector.received:
        assert (path, headers["Api-Key"]) == ("/v1/traces", "a b")
        (resource,) = message["resourceSpans"]
        name = {"key": "service.name", "value": {"stringValue": "digits"}}
        assert name in resource["resource"]["attributes"]
        spans += resource["scopeSpans"][0]["spans"]
    good, bad = spans
    assert (good["traceId"], good["parentSpanId"]) == (trace, parent)
    assert int(good["endTimeUnixNano"]) > int(good["startTimeUnixNano"])
    status = {"key": "http.response.status_code", "value": {"intValue": "500"}}
    assert bad["status"] == {"code": 2} and status in bad["attributes"]
    assert bad["traceId"] != trace and "parentSpanId" not in bad


def test_good_requests_are_not_logged(start: Start) -> None:
    server = start(PROGRAM).ready()
    before = len(server.lines())
    for _ in range(5):
        server.invoke(1)
    assert len(server.lines()) == before
