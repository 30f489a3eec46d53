"""Split a streamed response into the pieces that the model yielded."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from typing import Any

from sageturner_magic.endpoints.payload import JSON, JSON_LINES, NPY, charset, decode, media_type
from sageturner_magic.errors import InvocationError

EVENTS = "text/event-stream"


def pieces(chunks: Iterable[bytes], content_type: str) -> Iterator[Any]:
    """The pieces of an answer, each as soon as it is whole, wherever the network cut it.

    Text arrives as str without broken characters, JSON lines as one value a line, server-sent
    events as the text of each event, other bytes as they come. JSON and NPY, which cannot be
    read in part, are one piece.

    Raises:
        InvocationError: An event, or a line of JSON as the model server writes it, says that the
            model failed.
    """
    media = media_type(content_type)
    if media == JSON_LINES:
        return (_value(line) for line in _lines(chunks) if line.strip())
    if media == EVENTS:
        return _events(chunks)
    if media.startswith("text/"):
        return _text(chunks, charset(content_type))
    if media in (JSON, NPY) or media.endswith("+json"):
        return _whole(chunks, content_type)
    return iter(chunks)


def _whole(chunks: Iterable[bytes], content_type: str) -> Iterator[Any]:
    yield decode(b"".join(chunks), content_type)


def _text(chunks: Iterable[bytes], encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for chunk in chunks:
        if text := decoder.decode(chunk):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _line(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return line.decode("utf-8", "replace")


def _events(chunks: Iterable[bytes]) -> Iterator[str]:
    # https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    kind, data = "", []
    for raw in _lines(chunks):
        line = raw.decode("utf-8", "replace").rstrip("\r")
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            kind = value
        elif field == "data":
            data.append(value)
        elif not line and data:
            text = "\n".join(data)
            if kind == "error":
                raise _failed(text)
            yield text
            kind, data = "", []


def _value(line: bytes) -> Any:
    value = _line(line)
    error = value.get("error") if isinstance(value, dict) and len(value) == 1 else None
    if isinstance(error, dict) and {"type", "message"} <= error.keys() <= _PROBLEM:
        raise _failed(line.decode("utf-8", "replace"))
    return value


_PROBLEM = {"type", "message", "traceback"}
"""What the model server says of an error."""


def _failed(said: str) -> InvocationError:
    value = _line(said.encode())
    error = value.get("error") if isinstance(value, dict) else None
    why, frames = said, ""
    if isinstance(error, dict):
        why = f"{error.get('type', '')}: {error.get('message', '')}".strip(": ")
        frames = "\n".join(map(str, error.get("traceback") or ()))
    return InvocationError("The response broke off", why=why, details=frames, code="ST93")
