"""An HTTP server on a free port of this machine, and requests and answers passed through it."""

from __future__ import annotations

import http.client
import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from werkzeug.exceptions import ClientDisconnected
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Response
from werkzeug.wsgi import LimitedStream

from tests.stand.wire import Answer, DropConnection

OWN_HEADERS = ("connection", "date", "keep-alive", "server", "transfer-encoding")
"""Headers of an answer that each server on the way writes itself."""
PIECE = 1 << 18
"""Bytes passed on at a time."""

Handler = Callable[[dict[str, Any]], Response]


class _RequestHandler(WSGIRequestHandler):
    # Answers are written in pieces, and each would wait for the client's acknowledgement.
    disable_nagle_algorithm = True

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """Close in a way that the client sees as a reset, and take no request that followed."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:
        logging.getLogger("tests.stand").debug(message, *args)


class Server:
    """Serves `handler` from threads until `stop`."""

    def __init__(self, handler: Handler, address: str = "127.0.0.1") -> None:
        self._address = address
        self._server: BaseWSGIServer = make_server(
            address, 0, self._application(handler), True, request_handler=_RequestHandler
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def host(self) -> str:
        return f"{self._address}:{self._server.port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @staticmethod
    def _application(handler: Handler) -> Any:
        def application(environ: dict[str, Any], start_response: Any) -> Any:
            if not environ.get("wsgi.input_terminated"):
                length = int(environ.get("CONTENT_LENGTH") or 0)
                environ["wsgi.input"] = LimitedStream(environ["wsgi.input"], length)
                environ["wsgi.input_terminated"] = True
            try:
                response = handler(environ)
                # The next request follows what nobody has read of this one's body.
                for _ in pieces(environ):
                    pass
            except (DropConnection, ClientDisconnected):
                raise ConnectionResetError from None
            return response(environ, start_response)

        return application


def respond(answer: Answer) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers))


def pieces(environ: Mapping[str, Any]) -> Iterator[bytes]:
    """The request's body, as far as it has not been read.

    Raises DropConnection where the client goes away before its end.
    """
    try:
        while data := environ["wsgi.input"].read(PIECE):
            yield data
    except OSError:
        raise DropConnection from None


def break_off(environ: Mapping[str, Any]) -> None:
    """Take half of the request's body, then raise DropConnection."""
    half = int(environ.get("CONTENT_LENGTH") or 2 * PIECE) // 2
    taken = 0
    for data in pieces(environ):
        taken += len(data)
        if taken >= half:
            break
    raise DropConnection


def forward(
    host: str, method: str, path: str, headers: Mapping[str, str], body: Iterator[bytes]
) -> Response:
    """Pass a request on to `host` and its answer back, neither held in memory."""
    connection = http.client.HTTPConnection(host, timeout=120)
    lowered = {name.lower() for name in headers}
    has_body = bool(lowered & {"content-length", "transfer-encoding"})
    content = body if has_body else None
    try:
        connection.request(method, path, content, dict(headers), encode_chunked=True)
        answer = connection.getresponse()
    except BaseException:
        connection.close()
        raise
    passed = [pair for pair in answer.getheaders() if pair[0].lower() not in OWN_HEADERS]

    def received() -> Iterator[bytes]:
        while data := answer.read(PIECE):
            yield data

    if method == "HEAD" or answer.status == 204:
        connection.close()
        # An empty body would be taken for the length of what HEAD is about.
        return Response(iter(()), answer.status, passed)
    response = Response(received(), answer.status, passed)
    response.call_on_close(connection.close)
    return response
