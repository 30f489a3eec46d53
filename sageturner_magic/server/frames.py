"""Encode and decode the frames between the front and a worker.

A frame is a header (length of the payload, number of the request, kind) and a payload. Both
ends are this same code on the same machine, so there is no version in it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_HEADER = struct.Struct("<IIB")
_ANSWER = struct.Struct("<HH")
_ACKNOWLEDGED = struct.Struct("<I")

# Front -> worker.
REQUEST = 1
CANCEL = 2
ACKNOWLEDGE = 3
PING = 4
# Worker -> front. Every request ends in exactly one ANSWER, END, BROKEN (with the body of a
# problem) or DROPPED.
READY = 10
FAILED = 11
ANSWER = 12
STREAM = 13
CHUNK = 14
END = 15
BROKEN = 16
DROPPED = 17
PONG = 18
# From a template, about the worker that it was asked for under that number.
FORKED = 20
ENDED = 21

WINDOW = 262_144
"""Bytes of a stream that a worker sends ahead of what the client has taken."""


class RequestHead(NamedTuple):
    """What predict's context is made from, besides the body.

    Attributes:
        request_id: Names the request in logs.
        headers: Lower-case names of the headers that reach a container, and their values.
    """

    request_id: str
    headers: dict[str, str]


class AnswerHead(NamedTuple):
    """Status and headers of an answer; `custom_attributes` is empty when there are none."""

    status: int
    content_type: str
    custom_attributes: str = ""

    @property
    def headers(self) -> str:
        """Lines of the answer's head beside the usual ones."""
        if not self.custom_attributes:
            return ""
        return f"x-amzn-sagemaker-custom-attributes: {self.custom_attributes}\r\n"


def pack(kind: int, number: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return _HEADER.pack(len(payload), number, kind) + payload


def pack_request(number: int, head: bytes, body: bytes) -> bytes:
    """A REQUEST frame; `head` comes from `request_head`."""
    size = len(head) + len(body) + 2
    return b"".join(
        (_HEADER.pack(size, number, REQUEST), len(head).to_bytes(2, "little"), head, body)
    )


def renumber(frame: bytes, number: int) -> bytes:
    """The same frame for another request's number."""
    size, _, kind = _HEADER.unpack_from(frame)
    return _HEADER.pack(size, number, kind) + frame[_HEADER.size :]


def request_head(request_id: str, headers: list[tuple[bytes, bytes]]) -> bytes:
    """The head of a request: its id, then names and values. No part may hold a NUL byte."""
    parts = [request_id.encode()]
    for pair in headers:
        parts.extend(pair)
    return b"\0".join(parts)


def unpack_request(payload: bytes) -> tuple[RequestHead, bytes]:
    """Head and body of a REQUEST frame."""
    end = 2 + int.from_bytes(payload[:2], "little")
    parts = payload[2:end].decode("latin-1").split("\0")
    return RequestHead(parts[0], dict(zip(parts[1::2], parts[2::2], strict=True))), payload[end:]


def pack_answer(kind: int, number: int, head: AnswerHead, body: bytes = b"") -> bytes:
    """An ANSWER or STREAM frame."""
    text = f"{head.content_type}\0{head.custom_attributes}".encode("latin-1")
    size = _ANSWER.size + len(text) + len(body)
    return b"".join(
        (_HEADER.pack(size, number, kind), _ANSWER.pack(head.status, len(text)), text, body)
    )


def unpack_answer(payload: bytes) -> tuple[AnswerHead, bytes]:
    """Head and body of an ANSWER or STREAM frame."""
    status, length = _ANSWER.unpack_from(payload)
    end = _ANSWER.size + length
    content_type, _, attributes = payload[_ANSWER.size : end].decode("latin-1").partition("\0")
    return AnswerHead(status, content_type, attributes), payload[end:]


def pack_acknowledge(number: int, taken: int) -> bytes:
    """An ACKNOWLEDGE frame: the client has taken `taken` more bytes of the stream."""
    return pack(ACKNOWLEDGE, number, _ACKNOWLEDGED.pack(taken))


def unpack_acknowledge(payload: bytes) -> int:
    """The number of bytes in an ACKNOWLEDGE frame."""
    taken: int = _ACKNOWLEDGED.unpack(payload)[0]
    return taken


class FrameReader:
    """Cuts a stream of bytes into frames, however the bytes come."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """The frames (kind, number, payload) that `data` completes."""
        # Most often the frames come whole, and need no copy.
        buffer: bytes | bytearray = data
        if self._buffer:
            buffer = self._buffer
            buffer += data
        start, end = 0, len(buffer)
        while end - start >= _HEADER.size:
            length, number, kind = _HEADER.unpack_from(buffer, start)
            after = start + _HEADER.size + length
            if after > end:
                break
            yield kind, number, bytes(buffer[start + _HEADER.size : after])
            start = after
        if buffer is self._buffer:
            del self._buffer[:start]
        elif start < end:
            self._buffer += buffer[start:]
