"""Remember what each thread wrote to stdout and stderr last.

`user_logging` uses it: a handler of the user's may write a record in any way.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from typing import Any, TextIO

LENGTH = 2000
"""Characters kept of one call of `write`."""

CALLS = 16
"""Calls kept of a thread; `print` makes two."""


class Written(threading.local):
    """What this thread wrote, after `watch` was called for the stream."""

    def __init__(self) -> None:
        self._calls: deque[tuple[float, str]] = deque(maxlen=CALLS)

    def watch(self, stream: TextIO | None) -> None:
        """Remember from now on what is written to `stream`, by whoever holds it."""
        if stream is None:
            return
        write = stream.write

        def remember(text: str) -> Any:
            self._calls.append((time.time(), text[:LENGTH]))
            return write(text)

        stream.write = remember  # type: ignore[method-assign]

    def since(self, moment: float) -> str:
        """What this thread wrote since `moment`, as `time.time` tells it."""
        return "".join(text for when, text in self._calls if when >= moment)


WRITTEN = Written()


def watch() -> None:
    """Watch the process's own streams."""
    WRITTEN.watch(sys.stdout)
    WRITTEN.watch(sys.stderr)
