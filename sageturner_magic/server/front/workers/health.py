"""Judge whether restarts of workers help, and when to restart next. No I/O."""

from __future__ import annotations

STRIKES = 3
"""Ends of workers in a row, without an answer between them, after which /ping is unhealthy."""

CALM_SECONDS = 10.0
"""Seconds that a restarted worker has to live to count as well again."""

LONGEST_PAUSE = 30.0
"""Seconds between restarts at most."""


class Health:
    """Ends of workers in a row, without an answer or a calm time between them.

    Attributes:
        restarts: Workers that were replaced since the server's start.
    """

    def __init__(self) -> None:
        self.restarts = 0
        self._strikes = 0

    @property
    def good(self) -> bool:
        """Whether workers live long enough to answer."""
        return self._strikes < STRIKES

    def ended(self) -> float:
        """Count a worker's end; seconds to wait before it is replaced."""
        self._strikes += 1
        self.restarts += 1
        return 0.0 if self.good else min(2.0 ** (self._strikes - STRIKES), LONGEST_PAUSE)

    def answered(self) -> None:
        """Forget the ends before an answer."""
        self._strikes = 0

    def lived(self, seconds: float) -> None:
        """Forget the ends before all workers have been ready for `seconds`, if that is long."""
        if seconds > CALM_SECONDS:
            self._strikes = 0
