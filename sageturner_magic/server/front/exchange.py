"""Write the response to one request, whole or piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..problems import SSE, Problem

JOINED_BYTES = 65_536
"""Bytes of a body up to which copying it behind its headers is cheaper than a second write."""

RETRY_AFTER = "retry-after: 1\r\n"
"""For a request that may do better in a second."""

_KEEP = "\r\n"
_KEEP_OLD = "connection: keep-alive\r\n\r\n"
"""For HTTP/1.0, whose clients otherwise wait for the end of the connection."""

_CLOSE = "connection: close\r\n\r\n"

_PHRASES = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 406: "Not Acceptable", 408: "Request Timeout",
    413: "Content Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Content",
    429: "Too Many Requests", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
    504: "Gateway Timeout",
}  # fmt: skip
_STATUS = {status: f"HTTP/1.1 {status} {phrase}\r\n" for status, phrase in _PHRASES.items()}


class Client(Protocol):
    """What an exchange needs of its connection.

    Attributes:
        draining: Whether every answer from now on closes the connection.
        write_paused: Whether the client has much to read before more should be sent.
    """

    draining: bool
    write_paused: bool

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection is closing."""

    def answered(self, exchange: Exchange, keep: bool) -> None:
        """Continue with the next request, or close the connection unless `keep`."""

    def abort(self) -> None:
        """Cut the connection without sending what is still to be sent."""


class Exchange:
    """One request's answer.

    Attributes:
        gone: Called once if the client leaves before the answer is complete.
        writable: Called when a client that was slow has taken what was sent to it.
    """

    __slots__ = (
        "_chunked",
        "_connection",
        "_content_type",
        "_keep_alive",
        "_method",
        "complete",
        "gone",
        "writable",
    )

    def __init__(self, connection: Client, method: str, keep_alive: bool, chunked: bool) -> None:
        self._connection = connection
        self._method = method
        self._keep_alive = keep_alive
        self._chunked = chunked
        self._content_type = ""
        self.complete = False
        self.gone: Callable[[], None] | None = None
        self.writable: Callable[[], None] | None = None

    def answer(
        self, status: int, content_type: str, body: bytes, headers: str = "", close: bool = False
    ) -> None:
        """Send a whole answer; `headers` are complete lines that end in CRLF."""
        if self.complete:
            return
        connection = self._connection
        keep = self._keep_alive and not close and not connection.draining
        head = (
            f"{_status_line(status)}content-type: {content_type}\r\n"
            f"content-length: {len(body)}\r\n{headers}"
            f"{(_KEEP if self._chunked else _KEEP_OLD) if keep else _CLOSE}"
        )
        if self._method == "HEAD":
            body = b""
        if len(body) > JOINED_BYTES:
            connection.write(head.encode("latin-1"))
            connection.write(body)
        else:
            connection.write(head.encode("latin-1") + body)
        self._end(keep)

    def refuse(self, problem: Problem, headers: str = "", close: bool = False) -> None:
        """Send the JSON form of `problem`."""
        if problem.status in (429, 503):
            headers += RETRY_AFTER
        headers += problem.headers
        self.answer(problem.status, "application/json", problem.body(), headers, close)

    def start(self, status: int, content_type: str, headers: str = "") -> None:
        """Begin an answer that comes in chunks."""
        if self.complete:
            return
        self._content_type = content_type
        if not self._chunked:  # HTTP/1.0 knows the end of such a body by the end of the connection.
            self._keep_alive = False
        self._keep_alive = self._keep_alive and not self._connection.draining
        coding = "transfer-encoding: chunked\r\n" if self._chunked else ""
        self._connection.write(
            f"{_status_line(status)}content-type: {content_type}\r\n{coding}{headers}"
            f"{_KEEP if self._keep_alive else _CLOSE}".encode("latin-1")
        )

    def chunk(self, data: bytes) -> None:
        """Send a piece of an answer that was begun with `start`."""
        if self.complete or not data:
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._connection.write(data)

    @property
    def slow(self) -> bool:
        """Whether the client has much to read before more should be sent."""
        return self._connection.write_paused

    def end(self) -> None:
        """Complete an answer that was begun with `start`."""
        if self.complete:
            return
        if self._chunked:
            self._connection.write(b"0\r\n\r\n")
        self._end(self._keep_alive)

    def cut(self, problem: Problem) -> None:
        """Break off: say why where the type has a form for it, and end without the last chunk.

        Events, among which an error is told from data, are complete with it.
        """
        if self.complete:
            return
        self.chunk(problem.last_words(self._content_type))
        if self._content_type == SSE:
            self.end()
        elif self._chunked:
            self._end(keep=False)
        else:
            self.complete = True
            self._connection.abort()

    def _end(self, keep: bool) -> None:
        self.complete = True
        self.gone = self.writable = None  # They refer to what refers to this.
        self._connection.answered(self, keep)


def _status_line(status: int) -> str:
    # Others are chosen by user code; their phrase may be anything (RFC 9112, section 4).
    return _STATUS.get(status) or f"HTTP/1.1 {status} Status\r\n"
