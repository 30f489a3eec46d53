"""Each rule of the contract is broken by a server that breaks that rule alone."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sageturner_magic import conformance
from sageturner_magic.conformance.__main__ import main

BODY = b'{"x": [1, 2]}'


class Model(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A server that keeps every rule but the one named `breaks`."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, breaks: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.breaks = breaks
        if breaks == "accept":
            self.socket.listen(0)
        self.lock = threading.Lock()
        self.predicting = 0
        self.reading: dict[object, float] = {}
        self.gone = False

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.breaks == "accept" and connection.recv(1, socket.MSG_PEEK) == b"":
            # The next ones that send nothing find a queue of one, and nobody at its end.
            time.sleep(1)
            self.socket.listen(100)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Model
    answered = 0

    def do_GET(self) -> None:
        breaks = self.server.breaks
        if self.path == "/ping":
            self.ping()
        elif breaks == "other-paths":
            self.reply(500, {"error": "no such path"})
        else:
            self.reply(405 if self.path == "/invocations" else 404, {"error": "not here"})

    def ping(self) -> None:
        server = self.server
        busy = server.breaks == "ping-while-busy" and server.predicting > 0
        if server.breaks == "half-a-request" and server.reading:
            time.sleep(0.3)  # What a whole request takes at most is over then.
            busy = any(time.monotonic() - began > 0.1 for began in list(server.reading.values()))
        self.reply(204 if server.breaks == "ping" else 503 if busy else 200)

    def do_POST(self) -> None:
        server, breaks = self.server, self.server.breaks
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "")
        body = self.chunks() if chunked else self.body()
        kind = self.headers.get("Content-Type", "")
        attributes = self.headers.get("X-Amzn-SageMaker-Custom-Attributes", "")
        refused = 0
        if chunked and breaks == "chunked":
            refused = 411
        elif len(attributes) > 500 and breaks == "headers":
            refused = 431
        elif len(body) > 1_000_000 and breaks in ("large-body", "large-body-500"):
            refused = 413 if breaks == "large-body" else 500
        elif kind != "application/json":
            refused = 500 if breaks == "content-type" else 415
        elif not body:
            refused = 500 if breaks == "empty-body" else 400
        else:
            try:
                json.loads(body)
            except ValueError:
                refused = 500 if breaks == "bad-json" else 400
        if refused:
            self.close_connection = breaks == "after-an-error"
            self.reply(refused, b"bad" if breaks == "error-body" else {"error": "bad"})
            return
        with server.lock:
            server.predicting += 1
        # More than the 8 at once beside which /ping is asked for.
        time.sleep(0.2 if breaks == "concurrency" else 0.01)
        crowd = server.predicting > 8 and breaks == "concurrency"
        with server.lock:
            server.predicting -= 1
        if breaks == "gone-client":
            with contextlib.suppress(BlockingIOError):
                peeked = self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
                server.gone = server.gone or peeked == b""
        status = 500 if crowd or server.gone else 201 if breaks == "invocations" else 200
        self.answered += 1
        self.close_connection = breaks == "keep-alive" and self.answered == 3
        self.reply(status, b'{"y": NaN}' if breaks == "valid-json" else {"y": 3})

    def body(self) -> bytes:
        self.server.reading[self] = time.monotonic()
        try:
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        finally:
            del self.server.reading[self]

    def chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def reply(self, status: int, said: Any = None) -> None:
        body = said if isinstance(said, bytes) else json.dumps(said or {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


@contextlib.contextmanager
def serving(breaks: str = "") -> Iterator[Model]:
    server = Model(breaks)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def failed(server: Model) -> set[str]:
    target = conformance.ServerUnderTest.at(server.url, body=BODY)
    results = conformance.check(target)
    assert {each.outcome for each in results} <= {"passed", "failed"}
    return {each.rule for each in results if each.outcome == "failed"}


def test_the_server_of_these_tests_keeps_every_rule() -> None:
    with serving() as server:
        assert failed(server) == set()


@pytest.mark.parametrize("rule", [*(rule.name for rule in conformance.RULES), "large-body-500"])
def test_a_server_that_breaks_one_rule_is_told_just_that(rule: str) -> None:
    with serving(rule) as server:
        assert failed(server) == {rule.removesuffix("-500")}


def test_where_nothing_listens_one_rule_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert main([f"http://127.0.0.1:{port}", "--body", "1", "--json"]) == 1
    outcomes = [each["outcome"] for each in json.loads(capsys.readouterr().out)]
    assert outcomes == ["failed"] + ["skipped"] * (len(conformance.RULES) - 1)


def test_a_blocked_server_is_given_up_after_one_answers_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        target = conformance.ServerUnderTest.at(url, body=BODY)
        results = conformance.check(
            conformance.ServerUnderTest(target.host, target.port, body=BODY, answer_seconds=1)
        )
    outcomes = [each.outcome for each in results]
    assert outcomes == ["failed", "passed", "failed"] + ["skipped"] * (len(results) - 3)
    assert results[-1].evidence == "the server does not answer since the rule invocations"


def test_each_rule_is_named_as_it_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        assert main([server.url, "--body", BODY.decode()]) == 0
    said = capsys.readouterr().err.splitlines()
    count = len(conformance.RULES)
    assert said == [
        f"{number}/{count} {rule.text}" for number, rule in enumerate(conformance.RULES, 1)
    ]


def test_a_server_that_still_starts_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    assert main([url, "--wait", "0.3", "--json"]) == 1
    (only,) = json.loads(capsys.readouterr().out)
    assert (only["rule"], only["outcome"]) == ("start", "failed")
    source = f"""
import http.server, time
time.sleep(1)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", {port}), Handler).serve_forever()
"""
    late = subprocess.Popen([sys.executable, "-c", source], stderr=subprocess.DEVNULL)
    try:
        main([url, "--wait", "60", "--json"])
    finally:
        late.kill()
        late.wait()
    first = json.loads(capsys.readouterr().out)[0]
    assert (first["rule"], first["outcome"]) == ("start", "passed")
    assert "no answer -> 200" in first["evidence"]


def run_pytest(folder: Path, *arguments: str) -> tuple[int, dict[str, str], str]:
    """Exit status, outcome by rule, and the report of pytest in an empty folder."""
    plugin = ["-p", "sageturner_magic.conformance.pytest_plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "-p", "no:cacheprovider", "-vrA", *arguments],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    lines = re.findall(r"(?m)^(PASSED|FAILED|SKIPPED|XFAIL)\S* .*sageturner::([\w-]+)", done.stdout)
    return done.returncode, {rule: outcome for outcome, rule in lines}, done.stdout


def test_every_rule_is_a_test_of_pytest(tmp_path: Path) -> None:
    given = ("--sageturner-body", BODY.decode())
    with serving() as server:
        status, outcomes, said = run_pytest(tmp_path, "--sageturner-url", server.url, *given)
    assert (status, outcomes) == (0, {rule.name: "PASSED" for rule in conformance.RULES}), said
    with serving("bad-json") as server:
        status, outcomes, said = run_pytest(tmp_path, "--sageturner-url", server.url, *given)
    assert (status, outcomes["bad-json"]) == (0, "XFAIL"), said
    with serving("ping") as server:
        status, outcomes, said = run_pytest(tmp_path, "--sageturner-url", server.url, *given)
    assert (status, outcomes["ping"], outcomes["accept"]) == (1, "FAILED", "PASSED"), said
    assert "GET /ping answers 200 within 2 s: status 204" in said


def test_pytest_has_the_options_where_the_package_is_installed() -> None:
    project = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    assert 'pytest11]\nsageturner = "sageturner_magic.conformance.pytest_plugin"' in project
