"""Write the server's log lines to stderr: JSON for CloudWatch, short text for people."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from datetime import datetime, timezone
from typing import Any

from .masking import masked


class Log:
    """Writes one line an event; the same in the front and in the workers.

    Args:
        form: `json` or `text`.
        **fields: Added to every line in JSON form.
    """

    def __init__(self, form: str, **fields: Any) -> None:
        self._form = form
        self._fields = fields

    def info(self, message: str, **fields: Any) -> None:
        """Something that a person who looks at the log wants to know."""
        self.write("info", message, **fields)

    def warning(self, message: str, **fields: Any) -> None:
        """Something that went wrong and that the server coped with."""
        self.write("warning", message, **fields)

    def error(self, message: str, **fields: Any) -> None:
        """Something that failed; `traceback` is a list of lines."""
        self.write("error", message, **fields)

    def raw(self, line: dict[str, Any]) -> None:
        """A line that is meant for a machine, as JSON in any form."""
        self._put(json.dumps(line))

    def write(self, level: str, message: str, **fields: Any) -> None:
        """A line of any level; `traceback` is a list of lines."""
        now = datetime.now(timezone.utc)
        message = masked(message)
        if "traceback" in fields:
            fields["traceback"] = [masked(line) for line in fields["traceback"]]
        if self._form == "json":
            time = now.isoformat(timespec="milliseconds")
            line = {"time": time, "level": level, "message": message, **self._fields, **fields}
            text = json.dumps(line, default=str, ensure_ascii=False)
        else:
            mark = "" if level in ("info", "debug") else f"{level}: "
            text = f"{now.astimezone():%H:%M:%S} {mark}{message}"
            for detail in fields.get("traceback", ()):
                text += f"\n    {detail}"
        self._put(text)

    def _put(self, text: str) -> None:
        # One write, so that lines of several processes do not run into each other.
        data = (text + "\n").encode("utf-8", "backslashreplace")
        # User code may have closed the stream, or put None in its place.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()
        # Where nobody reads the log any more, serving goes on.
        with contextlib.suppress(OSError):
            os.write(2, data)
