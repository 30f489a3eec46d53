"""Error responses: a status and a JSON body.

The body is `{"error": {"type", "message"}}`, with `"traceback"` (a list of lines) where code of
the user raised, and `"at"` and `"faults"` where a request is not what predict's signature says.
"""

from __future__ import annotations

import json

from .masking import masked

SSE = "text/event-stream"


class Problem(Exception):
    """A request that is answered with an error.

    Attributes:
        status: The HTTP status.
        kind: The `type` in the body: a fixed word, or the class of the user's exception.
        message: What is wrong and what to do.
        traceback: The user's frames, where there are any.
        headers: Lines of the response's head, each with CRLF.
        more: What else a parsed body tells.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        traceback: tuple[str, ...] = (),
        headers: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.traceback = traceback
        self.headers = headers
        self.more: dict[str, object] = {}

    @classmethod
    def parse(cls, status: int, body: bytes) -> Problem:
        """The problem whose `body` this is."""
        error = json.loads(body)["error"]
        found = cls(
            status, error.pop("type"), error.pop("message"), tuple(error.pop("traceback", ()))
        )
        found.more = error
        return found

    def last_words(self, content_type: str) -> bytes:
        """What ends a stream of this type that has begun; empty where it has no form for errors."""
        if content_type == SSE:
            return b"event: error\ndata: " + self.body() + b"\n\n"
        return self.body() + b"\n" if "json" in content_type else b""

    def error(self) -> dict[str, object]:
        """What the body tells."""
        error: dict[str, object] = {"type": self.kind, "message": masked(self.message)}
        if self.traceback:
            error["traceback"] = [masked(line) for line in self.traceback]
        return {**error, **self.more}

    def body(self) -> bytes:
        """The JSON body."""
        # A message may hold half a surrogate pair, which UTF-8 has no form for: keep to ASCII.
        return json.dumps({"error": self.error()}).encode("ascii")
