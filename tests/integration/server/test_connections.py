"""Connections are kept whatever a request on them came to."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from contextlib import closing
from typing import Any

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
