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
