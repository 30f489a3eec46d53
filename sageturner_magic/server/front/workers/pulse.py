"""Judge whether a process that runs no request still responds. No I/O."""

from __future__ import annotations

ASK_SECONDS = 1.0
"""Between two questions."""


class Pulse:
    """The questions to one process, and their answers. All times are on the front's clock.

    A process that runs user code may rightly hold the GIL: then the request's timeout counts, and
    no question before the end of that request does.

    Args:
        patience: Seconds without an answer after which the process counts as lost.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._waiting = False
        self._since = 0.0

    def heard(self) -> None:
        """The last question was answered."""
        self._waiting = False

    def due(self, now: float) -> bool:
        """Whether to ask now; if so, that counts as done."""
        if self._waiting or now - self._since < ASK_SECONDS:
            return False
        self._waiting, self._since = True, now
        return True

    def excuse(self, now: float) -> None:
        """The process is busy with a request: until now, its silence means nothing."""
        self._since = max(self._since, now)

    def late(self, now: float) -> bool:
        """Whether the answer has taken longer than that of a process with nothing to do."""
        return self._waiting and now - self._since > ASK_SECONDS

    def lost(self, now: float) -> bool:
        """Whether the process has been silent for too long."""
        return self._waiting and now - self._since > self._patience
