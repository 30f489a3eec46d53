"""Fold the events of a deployment into the state that every renderer shows.

Renderers look at it a few times a second: an event costs no drawing, so 100,000 log lines are
as cheap as their storage, and only the last lines are stored.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from sageturner_magic.deployment.events import (
    Announced,
    Deployment,
    Ended,
    Event,
    Found,
    Outcome,
    StepEnded,
    StepLogged,
    StepProgressed,
    StepStarted,
)
from sageturner_magic.errors import Finding, SageturnerError

TAIL = 200
"""Log lines kept a step."""

LINE = 2000
"""Characters kept a log line."""


@dataclass
class Measure:
    """One bar: `done` of `total` (None: not known) in `unit` (`B` for bytes)."""

    done: float
    total: float | None
    unit: str


@dataclass
class StepProgress:
    """A step: not started (`started` is None), running (`outcome` is None) or ended."""

    key: str
    title: str
    started: float | None = None
    ended: float | None = None
    outcome: Outcome | None = None
    note: str = ""
    measures: dict[str, Measure] = field(default_factory=dict)
    log: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL))

    def seconds(self) -> float:
        """How long it has been running, or ran."""
        if self.started is None:
            return 0.0
        return (self.ended or time.monotonic()) - self.started

    def measure(self) -> Measure | None:
        """All concurrent measures of one unit added up."""
        if not self.measures:
            return None
        parts = list(self.measures.values())
        totals = [part.total for part in parts if part.total is not None]
        return Measure(
            sum(part.done for part in parts),
            sum(totals) if len(totals) == len(parts) else None,
            parts[0].unit,
        )


class Progress:
    """The state of one deployment. Safe to change from one thread and read from others."""

    def __init__(self, name: str, doing: str = "Deploying", done: str = "deployed") -> None:
        """
        Args:
            doing: What is done with `name` meanwhile.
            done: What it is when that has ended well.
        """
        self.name = name
        self.doing = doing
        self.done = done
        self.begin = time.monotonic()
        self.end: float | None = None
        self.expected_s: float | None = None
        self.findings: list[Finding] = []
        self.deployment: Deployment | None = None
        self.error: SageturnerError | None = None
        self.version = 0
        """Grows with every event: a renderer draws when it has changed."""
        self._steps: dict[str, StepProgress] = {}
        self._lock = threading.Lock()

    def steps(self) -> list[StepProgress]:
        """The steps, in the order of the plan."""
        with self._lock:
            return list(self._steps.values())

    def log(self, step: StepProgress) -> list[str]:
        """The last lines that `step` wrote."""
        with self._lock:
            return list(step.log)

    def seconds(self) -> float:
        """How long the deployment has been running, or took."""
        return (self.end or time.monotonic()) - self.begin

    def apply(self, event: Event) -> None:
        """Take in what happened."""
        with self._lock:
            self.version += 1
            match event:
                case Announced(steps, expected_s):
                    self.expected_s = expected_s
                    started = {key: step for key, step in self._steps.items() if step.started}
                    rest = {step.key: StepProgress(step.key, step.title) for step in steps}
                    self._steps = started | {
                        key: step for key, step in rest.items() if key not in started
                    }
                case Found(findings):
                    self.findings += findings
                case StepStarted(key, at):
                    self._steps[key].started = at
                case StepProgressed(key, done, total, unit, part):
                    # What is counted in another unit belongs to work that has ended.
                    alike = self._steps[key].measures
                    for other in [each for each, bar in alike.items() if bar.unit != unit]:
                        del alike[other]
                    alike[part] = Measure(done, total, unit)
                case StepLogged(key, line):
                    self._steps[key].log.append(line[:LINE])
                case StepEnded(key, outcome, at, note):
                    step = self._steps[key]
                    step.outcome, step.ended, step.note = outcome, at, note
                case Ended(at, deployment, error):
                    self.end, self.deployment, self.error = at, deployment, error
