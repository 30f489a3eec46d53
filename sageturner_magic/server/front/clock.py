"""Tell the time during which this process ran: a freeze does not count.

SIGSTOP, `docker pause`, and a serverless sandbox between two requests stop the process for any
time. Meanwhile no client could be heard, and no worker ran, so no time limit may count it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

FREEZE_SECONDS = 1.0
"""Between two readings; the front reads the clock every 0.2 s. A longer gap is a freeze."""


class Clock:
    """Seconds since some moment, without the freezes.

    Args:
        read: The clock below, which counts them.

    Attributes:
        frozen: Seconds that did not count so far.
    """

    def __init__(self, read: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._last = read()
        self.frozen = 0.0

    def now(self) -> float:
        """The time now. Readings more than FREEZE_SECONDS apart are one freeze."""
        now = self._read()
        if now - self._last > FREEZE_SECONDS:
            self.frozen += now - self._last
        self._last = now
        return now - self.frozen


CLOCK = Clock()
"""The front's clock: every deadline is on it."""

now = CLOCK.now
