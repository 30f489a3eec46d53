"""Encode what a generator yields as a streamed response."""

from __future__ import annotations

import re
from typing import Any

from ...problems import Problem
from .answers import OCTETS, choices
from .requests import JSON_LINES
from .values import to_json

SSE = "text/event-stream"

_LINE_END = re.compile("\r\n|\r|\n")
"""What ends a line of an event stream (WHATWG HTML, server-sent events); readers join lines by LF.
`str.splitlines` knows eight more characters and drops the last line's end."""


class ChunkEncoder:
    """Bytes for each chunk of one answer; the first chunk settles the Content-Type.

    Text and bytes go out as they are, anything else as a line of JSON. Where the client accepts
    text/event-stream every chunk is an event.

    Args:
        first: The first chunk.
        accept: The Accept header.
        nan: See `answers.encode`.
    """

    def __init__(self, first: Any, accept: str, nan: str) -> None:
        self._nan = nan
        wanted = choices(accept)
        if SSE in wanted:
            self.content_type = SSE
        elif isinstance(first, str):
            text = next((kind for kind in wanted if kind[:5] == "text/" and kind[-1] != "*"), "")
            self.content_type = f"{text or 'text/plain'}; charset=utf-8"
        elif isinstance(first, bytes | bytearray | memoryview):
            known = [kind for kind in wanted if "*" not in kind and kind != "application/json"]
            self.content_type = known[0] if known else OCTETS
        else:
            lines = [kind for kind in wanted if kind in JSON_LINES]
            self.content_type = lines[0] if lines else JSON_LINES[0]

    def encode(self, chunk: Any) -> bytes:
        """The bytes of one chunk. Raises AnswerError."""
        if self.content_type == SSE:
            text = chunk if isinstance(chunk, str) else to_json(chunk, self._nan).decode()
            lines = _LINE_END.split(text)
            return "".join(f"data: {line}\n" for line in lines).encode("utf-8", "replace") + b"\n"
        if isinstance(chunk, str):
            return chunk.encode("utf-8", "replace")
        if isinstance(chunk, bytes | bytearray | memoryview):
            return bytes(chunk)
        return to_json(chunk, self._nan) + b"\n"

    def failure(self, problem: Problem) -> bytes:
        """The last bytes of an answer whose generator raised; empty where only a cut can tell."""
        if self.content_type == SSE:
            return b"event: error\ndata: " + problem.body() + b"\n\n"
        return b""
