"""Report a step's progress as events."""

from __future__ import annotations

import threading
import time

from sageturner_magic.deployment.events import (
    Listener,
    Outcome,
    StepEnded,
    StepLogged,
    StepProgressed,
    StepStarted,
)
from sageturner_magic.errors import DeploymentCancelled


class StepReporter:
    """A Reporter whose events carry the key of the step that was entered last.

    Args:
        emit: Gets the events.
        stop: Set once the user has asked to stop.
        stopped: What the user is told then.
    """

    def __init__(self, emit: Listener, stop: threading.Event, stopped: str) -> None:
        self._emit = emit
        self._stop = stop
        self._stopped = stopped
        self._step = ""

    def enter(self, step: str) -> None:
        """Begin `step`, unless it runs already; the one before it is done."""
        if step == self._step:
            return
        if self._step:
            self.end("done")
        self._step = step
        self._emit(StepStarted(step, time.monotonic()))

    def end(self, outcome: Outcome, note: str = "") -> None:
        """The step that runs has ended; what is still logged belongs to it all the same."""
        self._emit(StepEnded(self._step, outcome, time.monotonic(), note))

    def log(self, line: str) -> None:
        self._emit(StepLogged(self._step, line))

    def progress(self, done: float, total: float | None, unit: str, part: str = "") -> None:
        self._emit(StepProgressed(self._step, done, total, unit, part))

    def checkpoint(self) -> None:
        if self._stop.is_set():
            raise DeploymentCancelled(self._stopped)
