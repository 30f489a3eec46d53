"""The interface between a connection and the application that responds."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..problems import Problem
from .buffers import Buffers
from .exchange import Exchange
from .limits import ONCE


class Head(NamedTuple):
    """A request's line and headers.

    Attributes:
        headers: Names in lower case; of a name that comes twice, the last value.
    """

    method: str
    path: str
    query: str
    headers: dict[bytes, bytes]


class Application(Protocol):
    """What the connection hands requests to."""

    max_body: int
    buffers: Buffers

    def check(self, head: Head) -> None:
        """Called when headers are complete. Raises Problem to refuse the request unread."""

    def refused(self, problem: Problem) -> None:
        """Called with the answer to a request that never becomes whole, or was refused unread."""

    def handle(self, head: Head, body: bytes, exchange: Exchange) -> None:
        """Called with a whole request; answers through `exchange`, now or later."""


def target_of(url: bytes) -> tuple[str, str]:
    """Path and query of `/path?query` or `http://host/path?query`. Raises Problem (400)."""
    if not url.startswith(b"/"):
        scheme, found, rest = url.partition(b"://")
        if not found or scheme.lower() not in (b"http", b"https"):
            raise Problem(400, "InvalidHTTP", "the request's target is not a path")
        url = b"/" + rest.partition(b"/")[2]
    path, _, query = url.partition(b"?")
    return path.decode("latin-1"), query.decode("latin-1")


def check_repeated(headers: list[tuple[bytes, bytes]]) -> None:
    """Raise Problem (400) where one of `limits.ONCE` comes twice."""
    names = [name for name, _ in headers]
    for name in ONCE:
        if names.count(name) > 1:
            header = name.decode().title()
            raise Problem(400, "InvalidHTTP", f"the request has more than one {header} header")


def without_upgrade(method: bytes, url: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """The head of an HTTP/1.1 request that asks for no other protocol, whatever it asked before."""
    kept = [b"%b: %b\r\n" % header for header in headers if header[0] != b"upgrade"]
    return b"".join([method, b" ", url, b" HTTP/1.1\r\n", *kept, b"\r\n"])
