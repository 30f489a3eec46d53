"""Encode what a generator yields as a streamed response."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from ...problems import SSE, Problem
from .accept import choices, lets
from .answers import CSV, JSON, OCTETS
from .requests import JSON_LINES
from .tables import CsvRows
from .values import to_json

_LINE_END = re.compile("\r\n|\r|\n")
"""What ends a line of an event stream (WHATWG HTML, server-sent events); readers join lines by LF.
`str.splitlines` knows eight more characters and drops the last line's end."""


class ChunkEncoder:
    """Bytes for each chunk of one answer; the first chunk settles the Content-Type.

    Text and bytes go out as they are, anything else as a line of JSON; where the client accepts
    JSON, every chunk is a line of it, and where it accepts text/event-stream, an event. Where it
    accepts text/csv, chunks that are neither text nor bytes are rows.

    Args:
        first: The first chunk; empty text where there is none.
        accept: The Accept header.
        nan: See `answers.encode`.

    Attributes:
        count: Chunks that were encoded.

    Raises Problem (406) where chunks like the first cannot be sent as what is accepted.
    """

    def __init__(self, first: Any, accept: str, nan: str) -> None:
        self._nan = nan
        self.count = 0
        wanted = choices(accept)
        found = [SSE] if SSE in wanted else [*_forms(accept, first)]
        if not found and first != "":
            message = (
                f"Accept {accept} cannot be met for a stream of {type(first).__name__}; accept "
                f"{JSON_LINES[0]}, {SSE}, or */*"
            )
            raise Problem(406, "NotAcceptable", message)
        self.content_type = found[0] if found else _TEXT
        plain = isinstance(first, (str, *_BYTES))
        self._rows = CsvRows(nan) if self.content_type == CSV and not plain else None

    def encode(self, chunk: Any) -> bytes:
        """The bytes of one chunk. Raises AnswerError."""
        self.count += 1
        if self.content_type == SSE:
            text = chunk if isinstance(chunk, str) else to_json(chunk, self._nan).decode()
            lines = _LINE_END.split(text)
            return "".join(f"data: {line}\n" for line in lines).encode("utf-8", "replace") + b"\n"
        if self._rows is not None:
            return self._rows.encode(chunk)
        if self.content_type not in JSON_LINES:
            if isinstance(chunk, str):
                return chunk.encode("utf-8", "replace")
            if isinstance(chunk, _BYTES):
                return bytes(chunk)
        return to_json(chunk, self._nan) + b"\n"


_BYTES = (bytes, bytearray, memoryview)
_TEXT = "text/plain; charset=utf-8"


_FORMS = (JSON_LINES[0], OCTETS, "text/plain", CSV)
"""What stands for a range such as `*/*` where a more specific one refuses the usual form."""


def _forms(accept: str, first: Any) -> Iterator[str]:
    """The Content-Types that are accepted for chunks like `first`, the most wanted first."""
    for kind in choices(accept):
        for form in (kind, *(each for each in _FORMS if fnmatchcase(each, kind))):
            found = _as(form, first)
            if found and lets(accept, kind, found):
                yield found


def _as(kind: str, first: Any) -> str:
    """The Content-Type for an accepted media type; empty where the chunks have no such form."""
    if kind in JSON_LINES:
        return kind
    if kind == JSON or kind.endswith("+json"):
        return JSON_LINES[0]
    if isinstance(first, _BYTES):
        return OCTETS if "*" in kind else kind
    if isinstance(first, str):
        if kind in ("*/*", "text/*"):
            return _TEXT
        if kind.startswith("text/"):
            return f"{kind}; charset=utf-8"
        if kind == OCTETS:
            return kind
    if kind in (CSV, "text/*"):
        return CSV
    return JSON_LINES[0] if kind in ("*/*", "application/*") else ""
