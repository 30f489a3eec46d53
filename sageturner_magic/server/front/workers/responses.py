"""Pass on to clients what workers say of their jobs."""

from __future__ import annotations

from ... import frames
from ...problems import Problem
from .. import clock
from .health import Health
from .job import Job
from .jobs import Jobs
from .worker import Worker


class Responses:
    """The way from a worker's frames to the exchanges of its jobs.

    Args:
        jobs: Those of the pool.
        health: Hears that workers answer.
        timeout: Seconds that a stream may be silent.
    """

    def __init__(self, jobs: Jobs, health: Health, timeout: float) -> None:
        self._jobs = jobs
        self._health = health
        self._timeout = timeout

    def pass_on(self, worker: Worker, kind: int, number: int, payload: bytes) -> None:
        """Do with a frame of a worker what it says of one of its jobs."""
        job = worker.jobs.get(number)
        if job is None:
            return
        exchange = job.exchange
        if kind == frames.ANSWER:
            self._done(worker, job)
            if exchange is not None:
                head, body = frames.unpack_answer(payload)
                self._jobs.answered(job, head.status)
                exchange.answer(head.status, head.content_type, body, head.headers)
            self._health.answered()
        elif kind == frames.STREAM:
            job.streaming = True
            job.deadline = clock.now() + self._timeout
            if exchange is not None:
                head, _ = frames.unpack_answer(payload)
                exchange.writable = lambda: self._acknowledge(worker, job)
                exchange.start(head.status, head.content_type, head.headers)
        elif kind == frames.CHUNK:
            job.deadline = clock.now() + self._timeout
            job.unacknowledged += len(payload)
            if exchange is not None:
                exchange.chunk(payload)
                if not exchange.slow:
                    self._acknowledge(worker, job)
        else:
            self._done(worker, job)
            if kind == frames.END and exchange is not None:
                self._jobs.answered(job, 200)
                exchange.end()
            elif kind == frames.BROKEN:
                self._jobs.fail(job, Problem.parse(500, payload))
            else:
                self._jobs.fail(job, Problem(500, "Cancelled", "predict was cancelled from inside"))

    def _done(self, worker: Worker, job: Job) -> None:
        worker.finish(job)
        self._jobs.forget(job)

    def _acknowledge(self, worker: Worker, job: Job) -> None:
        taken, job.unacknowledged = job.unacknowledged, 0
        if taken:
            worker.send(frames.pack_acknowledge(job.number, taken))
