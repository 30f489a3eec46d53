"""The requests that wait or run, and their counts."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ... import frames
from ...problems import Problem
from .. import clock
from ..buffers import Buffers
from ..exchange import Exchange
from ..metrics import Metrics
from .job import Job

if TYPE_CHECKING:
    from ..tracing import Tracer


class Jobs:
    """Every request from its arrival to its answer.

    Args:
        timeout: Seconds that a request may take.
        metrics: Counts what is answered.
        buffers: Counts the bytes of requests that wait or run.
        tracer: Traces them, where that is wanted.

    Attributes:
        waiting: Those that no worker has, in the order in which workers get them.
    """

    def __init__(
        self, timeout: float, metrics: Metrics, buffers: Buffers, tracer: Tracer | None
    ) -> None:
        self.waiting: deque[Job] = deque()
        self._timeout = timeout
        self._metrics = metrics
        self._buffers = buffers
        self._tracer = tracer
        self._all: dict[int, Job] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._all)

    def add(self, name: str, head: bytes, body: bytes, exchange: Exchange) -> Job:
        """Let a request wait. For the arguments see `Pool.submit`."""
        number = self._next_number()
        frame = frames.pack_request(number, head, body)
        job = self._all[number] = Job(number, name, frame, exchange, self._timeout)
        self._buffers.held += len(frame)
        self.waiting.append(job)
        return job

    def overdue(self, now: float) -> list[Job]:
        """Those whose answer would be too late at `now`, on the front's clock."""
        return [job for job in self._all.values() if job.deadline < now]

    def put_back(self, job: Job) -> None:
        """Let a job wait before all others, because the worker that had it has ended."""
        job.position = 0
        self.waiting.appendleft(job)

    def take_over(self, job: Job) -> None:
        """Let a job wait before all others, under a new number: its worker still has the old."""
        del self._all[job.number]
        job.renumber(self._next_number())
        self._all[job.number] = job
        self.waiting.appendleft(job)

    def forget(self, job: Job) -> None:
        """Nothing more comes of a job."""
        del self._all[job.number]
        self._buffers.held -= len(job.frame)

    def answered(self, job: Job, status: int) -> None:
        """Count an answer."""
        self._metrics.answered(status, clock.now() - job.arrived)
        if self._tracer is not None and job.span is not None:
            self._tracer.end(job.span, status)

    def fail(self, job: Job, problem: Problem) -> None:
        """Answer a job, if anybody still waits for it, with what went wrong."""
        exchange, job.exchange = job.exchange, None
        if exchange is None:
            return
        exchange.gone = None
        self.answered(job, problem.status)
        if job.streaming:
            exchange.cut(problem)
        else:
            exchange.refuse(problem)

    def _next_number(self) -> int:
        self._last = self._last % 0xFFFFFFFF + 1
        return self._last
