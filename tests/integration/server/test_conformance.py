"""The contract's test kit: our server keeps every rule, and servers that break one are caught."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from sageturner_magic import conformance
from sageturner_magic.conformance.__main__ import main

from .conftest import Start

PROGRAM = """
    import time
    def load(): return None
    def predict(model, request):
        time.sleep(0.005)
        return {"sum": sum(request["x"])} if isinstance(request, dict) else len(request)
"""
BODY = b'{"x": [1, 2]}'


def test_our_server_keeps_every_rule(start: Start) -> None:
    server = start(PROGRAM).ready()
    target = conformance.ServerUnderTest.at(f"http://127.0.0.1:{server.port}", body=BODY)
    results = conformance.check(target)
    broken = [result for result in results if result.outcome != "passed"]
    assert not broken, conformance.table(broken)
    assert len(results) == len(conformance.RULES)


def test_every_rule_is_printed_with_its_evidence(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start(PROGRAM, SAGETURNER_TOKEN="t").ready()
    url = f"http://127.0.0.1:{server.port}"
    arguments = [url, "--body", BODY.decode(), "--header", "Authorization: token t"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert all(rule.text in printed for rule in conformance.RULES)
    assert main([*arguments, "--json"]) == 0
    assert {each["outcome"] for each in json.loads(capsys.readouterr().out)} == {"passed"}


class Careless(http.server.BaseHTTPRequestHandler):
    """A server as they are written in a hurry."""

    def do_GET(self) -> None:
        self.reply(200, b"ok")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        try:
            json.loads(body)
        except ValueError:
            self.reply(500, b"Internal Server Error")
        else:
            self.reply(200, b'{"score": NaN}')

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def careless() -> Iterator[str]:
    class Threaded(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True
        request_queue_size = 100

    server = Threaded(("127.0.0.1", 0), Careless)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_a_careless_server_breaks_is_found(careless: str) -> None:
    target = conformance.ServerUnderTest.at(careless, body=BODY)
    outcomes = {each.rule: each.outcome for each in conformance.check(target)}
    failed = {name for name, outcome in outcomes.items() if outcome == "failed"}
    assert failed >= {"bad-json", "empty-body", "error-body", "valid-json", "other-paths"}
    assert outcomes["ping"] == outcomes["invocations"] == "passed"


def test_a_server_that_is_not_there_breaks_the_required_rules(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["http://127.0.0.1:9", "--body", "1"]) == 1
    assert "was not answered" in capsys.readouterr().out


def test_without_an_example_what_needs_one_is_skipped(start: Start) -> None:
    server = start(PROGRAM).ready()
    results = conformance.check(conformance.ServerUnderTest.at(f"http://127.0.0.1:{server.port}"))
    outcomes = {each.rule: each.outcome for each in results}
    assert outcomes["invocations"] == "skipped" and outcomes["ping"] == "passed"
    assert "failed" not in outcomes.values()
