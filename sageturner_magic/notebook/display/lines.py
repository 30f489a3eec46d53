"""Show a deployment as lines of text in a notebook."""

from __future__ import annotations

import sys
from queue import SimpleQueue

from sageturner_magic.deployment import Event
from sageturner_magic.rendering import PlainLines


class Lines:
    """Takes events on any thread; `draw` prints them, which only the kernel's own thread may do."""

    def __init__(self) -> None:
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._print = PlainLines(sys.stdout)

    def __call__(self, event: Event) -> None:
        self._events.put(event)

    def draw(self) -> None:
        """Print what came since the last call."""
        while not self._events.empty():
            self._print(self._events.get())
