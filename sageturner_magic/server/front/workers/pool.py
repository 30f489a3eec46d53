"""Give requests to workers; enforce timeouts; replace workers that end.

A request is a job. Jobs wait in the pool's queue until a worker has room, and are answered in
the order in which the worker answers. A worker that ends takes only the jobs that it had begun
with it (`shared_page.py`); the others go back to the head of the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...logs import Log
from ...problems import Problem
from ...settings import Settings
from ...shared_page import BATCH_BOUNDS
from .. import clock
from ..buffers import Buffers
from ..exchange import Exchange
from ..metrics import Gauges, Histogram, Metrics
from . import dispatch
from .health import Health
from .job import Job
from .jobs import Jobs
from .process import Failure
from .responses import Responses
from .worker import Worker

if TYPE_CHECKING:
    from ..tracing import Span, Tracer

CANCEL_SECONDS = 1.0
"""What an async predict gets to end after it was cancelled for taking too long."""

TELL_SECONDS = 0.1
"""For what a worker said before it ended to be read."""

END_SECONDS = 1.0
"""How long the status of a worker is waited for that has closed its socket."""


class Pool:
    """Workers, the queue in front of them, and their health.

    Args:
        settings: The server's.
        log: Gets what happens to workers.
        on_ready: Called once, when all workers have loaded the model for the first time.
        on_failed: Called when load fails before that; the workers have ended then.
        metrics: Counts what is answered.
        buffers: Counts the bytes of requests that wait or run.
        tracer: Traces it, where that is wanted.

    Attributes:
        load_seconds: Seconds from a worker's start to its model being loaded; None before.
        import_seconds: How many of them its imports took.
        described: The program's `example` request, the response to it (`warmed`) and its
            `contract`, where it has them.
    """

    def __init__(
        self,
        settings: Settings,
        log: Log,
        on_ready: Callable[[], None],
        on_failed: Callable[[Failure], None],
        metrics: Metrics,
        buffers: Buffers,
        tracer: Tracer | None = None,
    ) -> None:
        serving = settings.serving
        self._log = log
        self._timeout = serving.timeout_s
        self._size = serving.workers
        self._serving = serving
        self._limit = serving.queue
        self._on_ready = on_ready
        self._on_failed = on_failed
        # Of workers that have ended.
        self._batches = Histogram(BATCH_BOUNDS)
        self._jobs = Jobs(serving.timeout_s, metrics, buffers, tracer)
        self._health = Health()
        self._responses = Responses(self._jobs, self._health, serving.timeout_s)
        self._depth = max(dispatch.DEPTH, 2 * serving.batch.max_size)
        self._was_ready = False
        self._closing = False
        self._connecting: set[asyncio.Task[None]] = set()
        self.load_seconds: float | None = None
        self.import_seconds: float | None = None
        self.described: dict[str, Any] = {}
        self._template: Worker | None = None
        # The first tells whether the others can be forked off it.
        self.workers = [Worker.spawn(self, serving, may_fork=self._size > 1)]

    async def connect(self) -> None:
        """Begin to listen to the workers, which were started already."""
        for worker in list(self.workers):
            await worker.connect()

    @property
    def ready(self) -> bool:
        """Whether the model was loaded; restarts of workers do not change that."""
        return self._was_ready

    @property
    def healthy(self) -> bool:
        """Whether a worker can answer, and restarts of workers, if any were needed, helped."""
        return self._health.good and self._served

    @property
    def _served(self) -> bool:
        return self._was_ready and any(each.ready and not each.ending for each in self.workers)

    @property
    def outstanding(self) -> int:
        """Requests that wait or run."""
        return len(self._jobs)

    def gauges(self) -> Gauges:
        """How things stand now."""
        batches = copy.deepcopy(self._batches)
        for worker in self.workers:
            batches.add_counts(*worker.page.batches())
        return Gauges(
            queued=len(self._jobs.waiting),
            running=len(self._jobs) - len(self._jobs.waiting),
            workers=sum(worker.ready for worker in self.workers),
            restarts=self._health.restarts,
            load_seconds=self.load_seconds,
            batches=batches,
        )

    def submit(
        self,
        name: str,
        head: bytes,
        body: bytes,
        exchange: Exchange,
        span: Span | None = None,
    ) -> None:
        """Answer a request as soon as a worker can.

        Args:
            name: The request's id in the log.
            head: From `frames.request_head`.
            body: Undecoded.
            exchange: Gets the answer.
            span: Its trace, if it has one.

        Raises Problem (429 or 503) when there is no place for it.
        """
        if len(self._jobs) >= self._limit:
            message = f"{self._limit} requests wait or run already (serving.queue)"
            raise Problem(429, "Overloaded", message)
        if not self._health.good and not self._served:
            raise Problem(503, "Unhealthy", "the workers keep ending; see the log")
        job = self._jobs.add(name, head, body, exchange)
        job.span = span
        exchange.gone = lambda: self._abandon(job)
        self._pump()

    def check(self) -> None:
        """Answer what has taken too long; to be called several times a second."""
        now = clock.now()
        for job in self._jobs.overdue(now):
            self._too_late(job, now)
        for worker in list(self.workers):
            # Its socket tells sooner, but not where a child of its own holds the other end too.
            if worker.process.poll() is not None:
                asyncio.get_running_loop().call_later(TELL_SECONDS, self.worker_gone, worker)
        for worker in self._everyone():
            if worker.lost(now):
                self._end_lost(worker)
        stalled = [worker for worker in self.workers if worker.stalled(now)]
        if stalled and not self._jobs.waiting:
            self._share(stalled)
        if len(self.workers) == self._size and all(worker.ready for worker in self.workers):
            self._health.lived(now - max(worker.ready_since for worker in self.workers))

    async def close(self, seconds: float) -> None:
        """End the workers: let them end for `seconds`, then kill them."""
        self._closing = True
        deadline = clock.now() + seconds
        # The template last: it tells how those that it forked end.
        for some in (self.workers, [self._template] if self._template else []):
            for worker in some:
                worker.stop()
            while any(w.process.poll() is None for w in some) and clock.now() < deadline:
                await asyncio.sleep(0.01)
        self.kill()

    def kill(self) -> None:
        """End the workers now."""
        self._closing = True
        for worker in self._everyone():
            worker.kill()

    # From workers.

    def worker_ready(self, worker: Worker, said: dict[str, Any]) -> None:
        self.load_seconds = said["load_seconds"]
        self.import_seconds = said["import_seconds"]
        self.described = said
        if worker.template:
            self.workers.remove(worker)
            self._template = worker
            self._log.info(f"the model is loaded; {self._size} workers share its memory")
        elif said["why_not"]:
            self._log.info(f"each worker loads the model for itself: {said['why_not']}")
        if not self._was_ready:
            while len(self.workers) < self._size:
                self._add_worker()
            if all(each.ready for each in self.workers):
                self._was_ready = True
                self._on_ready()
        elif not worker.template:
            self._log.info(f"worker {worker.process.pid} is ready")
        self._pump()

    def from_worker(self, worker: Worker, kind: int, number: int, payload: bytes) -> None:
        self._responses.pass_on(worker, kind, number, payload)
        if self._jobs.waiting:
            self._pump()

    def worker_gone(self, worker: Worker) -> None:
        if worker.ending or self._closing:
            return
        worker.ending = True
        self._when_ended(worker, clock.now() + END_SECONDS)

    # Its own.

    def _end_lost(self, worker: Worker) -> None:
        worker.kill("it ran no request and did not respond; the server killed it")
        self.worker_gone(worker)

    def _everyone(self) -> list[Worker]:
        return [*self.workers, *([self._template] if self._template else [])]

    def _when_ended(self, worker: Worker, deadline: float) -> None:
        # The status of a process comes a moment after the end of its socket.
        status = worker.process.poll()
        if status is None and clock.now() < deadline:
            asyncio.get_running_loop().call_later(0.005, self._when_ended, worker, deadline)
            return
        taken, doing, how = worker.page.taken, worker.busy_with(), worker.end()
        self._batches.add_counts(*worker.page.batches())
        worker.bury()
        if worker is self._template:
            self._template = None
            if not self._closing:
                self._log.warning(f"the process that forks workers ended: {how}")
            return
        self.workers.remove(worker)
        if self._closing:
            return
        if self._was_ready:
            self._replace(worker, f"{doing}: {how}", taken)
        else:
            self._load_failed(worker, how)

    def _load_failed(self, worker: Worker, how: str) -> None:
        failure = worker.failure or Failure(
            "WorkerDied", f"the worker process ended while it loaded the model: {how}"
        )
        self.kill()
        self._on_failed(failure)

    def _replace(self, worker: Worker, end: str, taken: int) -> None:
        pause = self._health.ended()
        self._log.error(f"worker {worker.process.pid} ended {end}; it is replaced")
        problem = Problem(500, "WorkerDied", f"the worker process ended {end}")
        for job in reversed(worker.jobs.values()):
            if job.exchange is None:
                self._jobs.forget(job)
            elif job.position > taken:
                self._jobs.put_back(job)
            else:
                self._jobs.forget(job)
                self._jobs.fail(job, problem)
        worker.jobs.clear()
        if not self._health.good:
            self._give_up_waiting()
        asyncio.get_running_loop().call_later(pause, self._add_worker)
        self._pump()

    def _give_up_waiting(self) -> None:
        if any(worker.ready for worker in self.workers):
            return
        problem = Problem(503, "Unhealthy", "the workers keep ending; see the log")
        while self._jobs.waiting:
            job = self._jobs.waiting.popleft()
            self._jobs.forget(job)
            self._jobs.fail(job, problem)

    def _add_worker(self) -> None:
        if self._closing:
            return
        worker = None
        if self._template is not None:
            with contextlib.suppress(OSError):
                worker = self._template.fork()
        if worker is None:
            worker = Worker.spawn(self, self._serving, may_fork=False)
        self.workers.append(worker)
        task = asyncio.get_running_loop().create_task(worker.connect())
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def _pump(self) -> None:
        dispatch.pump(self.workers, self._jobs, self._depth, alone=self._size == 1)

    def _share(self, stalled: list[Worker]) -> None:
        # What waits behind a slow request goes to a worker that has nothing to do.
        if any(worker.ready and not worker.jobs for worker in self.workers):
            for worker in stalled:
                for job in reversed(worker.take_back()):
                    self._jobs.take_over(job)
            self._pump()

    def _worker_of(self, job: Job) -> Worker | None:
        # None while the job waits. Only for what is rare: a client that left, a job too late.
        return next((each for each in self.workers if job.number in each.jobs), None)

    def _abandon(self, job: Job) -> None:
        job.exchange = None
        if not job.position:
            self._jobs.waiting.remove(job)
            self._jobs.forget(job)
        elif worker := self._worker_of(job):
            worker.interrupt(job)

    def _too_late(self, job: Job, now: float) -> None:
        worker = self._worker_of(job)
        limit = f"{self._timeout:g} s (serving.timeout_s)"
        if worker is None or job.position > worker.page.taken:
            waited = f"the request waited for a free worker for {limit}; predict did not begin"
            self._log.error(waited, request_id=job.name)
            self._jobs.fail(job, Problem(504, "QueueTimeout", waited))
            job.deadline = float("inf")
            self._abandon(job)
            return
        if job.exchange is not None and job.exchange.slow:
            job.deadline = now + self._timeout  # predict waits for the client, not we for it.
            return
        message = f"predict did not answer within {limit}"
        if not job.cancelled:
            self._log.error(message, request_id=job.name)
        self._jobs.fail(job, Problem(504, "PredictTimeout", message))
        if worker.kind == "async" and not job.cancelled:
            # Others run beside it; they need not end with it if it heeds its cancellation.
            job.cancelled = True
            job.deadline = now + CANCEL_SECONDS
            worker.interrupt(job)
        else:
            job.deadline = float("inf")
            worker.kill(f"predict took longer than {limit}; the server killed it")
