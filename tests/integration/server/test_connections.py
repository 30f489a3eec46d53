"""Connections are kept whatever a request on them came to."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

SOURCE = """
    def load(): return None
    def predict(model, request):
        return 1 / request
"""


def test_a_connection_outlives_a_500_and_a_400(start: Callable[..., Any]) -> None:
    server = start(SOURCE).ready()
    json = {"Content-Type": "application/json"}
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.connect()
        socket = connection.sock
        for body, status in ((b"0", 500), (b"{", 400), (b"2", 200)):
            connection.request("POST", "/invocations", body, json)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
            assert connection.sock is socket


def test_an_old_client_is_told_that_its_connection_is_kept(start: Callable[..., Any]) -> None:
    """ApacheBench with -k speaks HTTP/1.0 and waits for the end of the connection otherwise."""
    server = start(SOURCE).ready()
    with closing(server.connect()) as connection:
        for _ in range(2):
            connection.sendall(b"GET /ping HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            answer = connection.recv(65_536)
            assert b"\r\nconnection: keep-alive\r\n" in answer
        connection.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
        assert b"\r\nconnection: close\r\n" in connection.recv(65_536)


@pytest.mark.parametrize("pieces", [1, 7])
@pytest.mark.parametrize(
    "body",
    [b"Content-Length: 2\r\n\r\n10", b"Transfer-Encoding: chunked\r\n\r\n2\r\n10\r\n0\r\n\r\n"],
    ids=["length", "chunked"],
)
def test_a_request_for_http_2_is_answered_with_its_body(
    start: Callable[..., Any], body: bytes, pieces: int
) -> None:
    """Java's HttpClient asks for h2c with its first request unless it is told not to."""
    server = start(SOURCE).ready()
    request = (
        b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEA\r\n" + body
    )
    with closing(server.connect()) as connection, connection.makefile("rb") as answers:
        size = len(request) // pieces + 1
        for at in range(0, len(request), size):
            connection.sendall(request[at : at + size])
            time.sleep(0.01)
        assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
        assert answers.read().endswith(b"\r\n\r\n0.1")
