"""Read HTTP/1.1 requests from one connection and write the responses in order.

httptools (Node's llhttp) does the parsing. What is here is what a server in front of slow,
broken and hostile clients needs around it: time limits for headers and bodies, size limits that
still let the client read its answer, pipelining, back-pressure, and telling the application when
a client has left. There is no task and no ASGI message per request; the application is called
when a request is whole, and answers whenever it can.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import httptools

from ..problems import Problem
from . import clock
from .application import Application, Head, check_repeated, target_of, without_upgrade
from .exchange import Exchange
from .limits import (
    BODY_GAP_SECONDS,
    BODY_SECONDS,
    DISCARDED_FACTOR,
    HEADER_BYTES,
    HEADER_SECONDS,
    IDLE_SECONDS,
    LINGER_SECONDS,
    WRITE_GAP_SECONDS,
    too_large,
)

_NEVER = float("inf")


class Connection(asyncio.Protocol):
    """One client's connection.

    Args:
        application: Gets the requests.
        connections: The open connections, this one among them while it is open.

    Attributes:
        deadline: On the front's clock; `expire` is to be called once it has passed.
        draining: Whether every answer from now on closes the connection.
    """

    __slots__ = (
        "_application", "_bare", "_body", "_connections", "_discarded", "_exchange", "_head",
        "_header_size", "_headers", "_held", "_one_one", "_parser", "_refused", "_size", "_state",
        "_transport", "_url", "_waiting", "_whole_by", "deadline", "draining", "write_paused",
    )  # fmt: skip

    def __init__(self, application: Application, connections: set[Connection]) -> None:
        self._application = application
        self._connections = connections
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._state = _IDLE
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_size = 0
        self._head: Head | None = None
        self._one_one = True
        self._body: bytes | bytearray = b""
        self._whole_by = 0.0
        self._size = 0
        # Of its bodies that are being received or wait behind another request.
        self._held = 0
        self._discarded = 0
        # Bytes of a chunked body's framing and trailers since the last byte of the body itself.
        self._bare = 0
        self._refused = False
        # The request that is being answered, and whole ones that came behind it.
        self._exchange: Exchange | None = None
        self._waiting: deque[tuple[Exchange, Callable[[], None]]] = deque()
        self.deadline = clock.now() + IDLE_SECONDS
        self.draining = False
        self.write_paused = False

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._application.buffers.read(self)
        self._transport = None
        self._parser = None  # It refers to this connection.
        self._waiting.clear()
        self._let_go(self._held)
        self._body = b""
        exchange, self._exchange = self._exchange, None
        if exchange is not None and not exchange.complete:
            exchange.complete = True
            if exchange.gone is not None:
                exchange.gone()

    def data_received(self, data: bytes) -> None:
        if self._state == _CLOSED:
            self._discard(len(data))
            return
        in_body, size = self._state == _BODY, self._size
        try:
            self._feed(memoryview(data))
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, Problem):
                raise
            self._refuse(cause)
        except httptools.HttpParserError as error:
            self._refuse(Problem(400, "InvalidHTTP", f"this is not HTTP: {error}"))
        if self._state == _HEADERS:
            self._header_size += len(data)
            if self._header_size > HEADER_BYTES:
                message = f"the headers are longer than {HEADER_BYTES} bytes"
                self._refuse(Problem(431, "HeadersTooLarge", message))
        elif self._state == _BODY:
            if in_body:
                self._bare = self._bare + len(data) if size == self._size else 0
                if self._bare > HEADER_BYTES:
                    self._refuse_trailers()
                    return
            now = clock.now()
            self._whole_by = self._whole_by or now + BODY_SECONDS
            self.deadline = min(now + BODY_GAP_SECONDS, self._whole_by)

    def pause_writing(self) -> None:
        self.write_paused = True
        self.deadline = clock.now() + WRITE_GAP_SECONDS
        self._application.buffers.unread(self)

    def resume_writing(self) -> None:
        self.write_paused = False
        self._application.buffers.read(self)
        self.deadline = _NEVER if self._exchange else clock.now() + IDLE_SECONDS
        self._next()
        if self._exchange is not None and self._exchange.writable is not None:
            self._exchange.writable()

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._state = _HEADERS
        self._url = b""
        self._headers = []
        self._header_size = 0
        self._body = b""
        self._size = 0
        self._bare = 0
        self._whole_by = 0.0
        self._refused = False
        if self._exchange is None:
            self.deadline = clock.now() + HEADER_SECONDS

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._state == _HEADERS:  # Otherwise these are trailers, which nobody asked for.
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser.should_upgrade() and parser.get_method() != b"CONNECT":
            self._head = None
            return
        headers = dict(self._headers)
        self._one_one = one_one = parser.get_http_version() == "1.1"
        if len(headers) < len(self._headers):
            check_repeated(self._headers)
        if b"transfer-encoding" in headers and headers[b"transfer-encoding"].lower() != b"chunked":
            raise Problem(501, "UnsupportedTransferEncoding", "only chunked is supported")
        if b"host" not in headers and one_one:
            raise Problem(400, "InvalidHTTP", "exactly one Host header is needed")
        self._head = head = Head(
            parser.get_method().decode("ascii"), *target_of(self._url), headers
        )
        self._state = _BODY
        try:
            self._application.check(head)
            length = headers.get(b"content-length", b"")
            if length and int(length) > self._application.max_body:
                raise too_large(self._application.max_body)
            if length:
                self._application.buffers.check(int(length))
        except Problem as problem:
            self._refuse_body(problem)
            return
        if headers.get(b"expect", b"").lower() == b"100-continue" and self._exchange is None:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._refused:
            self._discard(len(body))
        elif self._size > self._application.max_body:
            self._refuse_body(too_large(self._application.max_body))
        else:
            self._keep(body)

    def on_message_complete(self) -> None:
        head = self._head
        if self._state == _CLOSED or head is None:
            return
        self._state = _IDLE
        if self._refused:
            if self._exchange is None:
                self._close()
            return
        whole = bytes(self._body)
        self._body = b""
        exchange = Exchange(self, head.method, self._parser.should_keep_alive(), self._one_one)

        def handle() -> None:
            self._let_go(len(whole))  # The application counts what it keeps.
            self._application.handle(head, whole, exchange)

        self._submit(exchange, handle)

    # What an exchange calls.

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection is closing."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
            if self.write_paused:
                self._application.buffers.unread(self)

    def answered(self, exchange: Exchange, keep: bool) -> None:
        """An answer is complete: go on to the next request, or close."""
        if exchange is not self._exchange:
            return
        self._exchange = None
        if not keep:
            self._waiting.clear()
            if self._refused and self._state == _BODY:
                self.deadline = clock.now() + BODY_GAP_SECONDS
            else:
                self._close()
            return
        if not self.write_paused:
            self.deadline = clock.now() + (IDLE_SECONDS if self._state == _IDLE else HEADER_SECONDS)
        self._next()

    def abort(self) -> None:
        """Cut the connection without sending what is still to be sent."""
        self._state = _CLOSED
        if self._transport is not None:
            self._transport.abort()

    # What the front calls.

    @property
    def busy(self) -> bool:
        """Whether a request is being received or answered."""
        return self._exchange is not None or self._state in (_HEADERS, _BODY)

    def expire(self) -> None:
        """The deadline has passed: say so where somebody may listen, and close."""
        if self.write_paused and self._application.buffers.progress(self):
            self.deadline = clock.now() + WRITE_GAP_SECONDS
            return
        if self._state in (_IDLE, _CLOSED) or self.write_paused or self._refused:
            self.abort()
            return
        if self._state == _HEADERS:
            message = f"the headers of the request did not come within {HEADER_SECONDS:g} s"
        else:
            message = (
                f"the body of the request did not come within {BODY_SECONDS:g} s, or paused for "
                f"{BODY_GAP_SECONDS:g} s"
            )
        self._refuse(Problem(408, "RequestTimeout", message))

    def close_idle(self) -> None:
        """Close the connection if nothing is under way on it."""
        if not self.busy:
            self._close()

    @property
    def unsent(self) -> int:
        """Bytes of answers that the client has not taken."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    # Its own.

    def _feed(self, data: memoryview) -> None:
        # httptools leaves out the body of a request that asks for an upgrade, as Java's HttpClient
        # does (h2c). So such a request is read again, without the question.
        while data:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                if self._head is not None:  # A CONNECT, which was refused.
                    self._state = _CLOSED
                    return
                data = data[upgrade.args[0] :]
            self.draining = True
            head = without_upgrade(self._parser.get_method(), self._url, self._headers)
            self._parser = httptools.HttpRequestParser(self)
            self._parser.feed_data(head)

    def _next(self) -> None:
        # The next request waits until the client has read enough of the answers before.
        if self._waiting and self._exchange is None and not self.write_paused:
            self._exchange, action = self._waiting.popleft()
            self.deadline = _NEVER
            # Not from here: thousands of pipelined requests would nest as deeply.
            asyncio.get_running_loop().call_soon(self._go_on, action)

    def _submit(self, exchange: Exchange, action: Callable[[], None]) -> None:
        # Answers go out in the order of the requests.
        if self._exchange is None and not self.write_paused:
            self._exchange = exchange
            self.deadline = _NEVER
            action()
            return
        self._waiting.append((exchange, action))
        if self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()

    def _go_on(self, action: Callable[[], None]) -> None:
        if self._transport is None:
            return
        if not self._waiting:
            self._transport.resume_reading()
        action()

    def _keep(self, piece: bytes) -> None:
        buffers = self._application.buffers
        try:
            buffers.check(len(piece))
        except Problem as problem:
            self._refuse_body(problem)
            return
        buffers.held += len(piece)
        self._held += len(piece)
        if not self._body:
            self._body = piece
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += piece

    def _let_go(self, size: int) -> None:
        self._held -= size
        self._application.buffers.held -= size

    def _drop_body(self) -> None:
        self._let_go(len(self._body))
        self._body = b""

    def _refuse_body(self, problem: Problem) -> None:
        # The body is read and thrown away, so that the client gets to read the answer.
        assert self._head is not None
        self._application.refused(problem)
        self._drop_body()
        self._refused = True
        exchange = Exchange(self, self._head.method, False, self._one_one)
        self._submit(exchange, lambda: exchange.refuse(problem, close=True))

    def _refuse_trailers(self) -> None:
        if self._refused:
            self.abort()  # The client was answered already.
            return
        message = f"the trailers of the body are longer than {HEADER_BYTES} bytes"
        self._refuse(Problem(431, "HeadersTooLarge", message))

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > DISCARDED_FACTOR * self._application.max_body:
            self.abort()

    def _refuse(self, problem: Problem) -> None:
        # After this nothing that the client sends can be trusted to be a request.
        self._application.refused(problem)
        self._drop_body()
        self._state = _CLOSED
        if self._exchange is not None:
            self.draining = True  # An earlier request is still being answered; that closes.
            return
        Exchange(self, "", False, True).refuse(problem, close=True)
        # Closing with unread bytes would reset the connection and lose the answer.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()
        self.deadline = clock.now() + LINGER_SECONDS

    def _close(self) -> None:
        self._state = _CLOSED
        if self._transport is not None:
            self._transport.close()


_IDLE, _HEADERS, _BODY, _CLOSED = range(4)
