"""The queue and the worker processes, as the front sees them.

A request is a job. Jobs wait in the pool's queue until a worker has room, and are answered in
the order in which the worker answers. A worker that ends takes only the jobs that it had begun
with it (`page.py`); the others go back to the head of the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import frames, page
from .http import Exchange
from .logs import Log
from .problems import Problem
from .settings import Settings

DEPTH = 64
"""Requests that a worker has at most before it has answered them: enough that it finds several
at each look at its socket, and no more than what can go back to the queue when it ends."""

SPREAD_SECONDS = 0.002
"""With several workers, how much work one may have at hand while another may become idle."""

STRIKES = 3
"""Ends of workers in a row, without an answer between them, after which /ping is unhealthy."""

CALM_SECONDS = 10.0
"""Seconds that a restarted worker has to live to count as well again."""

LONGEST_PAUSE = 30.0
"""Seconds between restarts at most."""

CANCEL_SECONDS = 1.0
"""What an async predict gets to end after it was cancelled for taking too long."""

INTERRUPT = signal.SIGURG


class Job:
    """One request on its way to an answer.

    Attributes:
        number: Names it on the socket pair; counted from 1.
        frame: The whole REQUEST frame, kept for another worker.
        exchange: Where the answer goes; None once nobody wants it.
        arrived: time.monotonic() when the request was whole.
        deadline: time.monotonic() at which its answer is too late.
        position: Its place among all jobs that its worker was sent, from 1; 0 while it waits.
        streaming: Whether the answer has begun, in chunks.
        cancelled: Whether its time is over and its worker was told.
        unacknowledged: Bytes of a stream that were written and not yet acknowledged.
    """

    __slots__ = (
        "arrived", "cancelled", "deadline", "exchange", "frame", "name", "number", "position",
        "streaming", "unacknowledged", "worker",
    )  # fmt: skip

    def __init__(
        self, number: int, name: str, frame: bytes, exchange: Exchange, timeout: float
    ) -> None:
        self.number = number
        self.name = name
        self.frame = frame
        self.exchange: Exchange | None = exchange
        self.arrived = time.monotonic()
        self.deadline = self.arrived + timeout
        self.position = 0
        self.streaming = False
        self.cancelled = False
        self.unacknowledged = 0
        self.worker: Worker | None = None


@dataclass(frozen=True)
class Failure:
    """Why load failed: the class of the exception, what happened, the user's frames."""

    kind: str
    message: str
    traceback: tuple[str, ...] = ()


class Worker(asyncio.Protocol):
    """One worker process and the front's end of its socket pair."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.ready = False
        self.gone = False
        self.kind = "plain"
        self.failure: Failure | None = None
        self.jobs: dict[int, Job] = {}
        self.sent = 0
        self.started = time.monotonic()
        self.ready_since = 0.0
        self.ended_at: float | None = None
        # Seconds for one job, smoothed.
        self.pace = 0.001
        self._last_answer = 0.0
        self._reader = frames.FrameReader()
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []
        mine, theirs = socket.socketpair()
        descriptor = page.create()
        end, self._lifeline = os.pipe()
        try:
            self.page = page.Page(descriptor)
            self.channel = mine
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    os.path.join(os.path.dirname(__file__), "__main__.py"),  # noqa: PTH118, PTH120
                    "worker",
                    *map(str, (theirs.fileno(), descriptor, end)),
                ],
                pass_fds=(theirs.fileno(), descriptor, end),
                env=_environment(),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            theirs.close()
            os.close(descriptor)
            os.close(end)

    async def connect(self) -> None:
        """Begin to listen to the worker."""
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self, sock=self.channel)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self.pool.worker_gone(self)

    def data_received(self, data: bytes) -> None:
        for kind, number, payload in self._reader.feed(data):
            if kind == frames.READY:
                self._ready(json.loads(payload))
            elif kind == frames.FAILED:
                said = json.loads(payload)
                self.failure = Failure(said["type"], said["message"], tuple(said["traceback"]))
            else:
                self.pool.from_worker(self, kind, number, payload)

    def _ready(self, said: dict[str, Any]) -> None:
        self.ready = True
        self.ready_since = time.monotonic()
        self.kind = said["kind"]
        self.pool.worker_ready(self, said)

    def send(self, data: bytes) -> None:
        """Send a frame, together with others of the same turn of the loop."""
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing.append(data)

    def _flush(self) -> None:
        data, self._outgoing = b"".join(self._outgoing), []
        if self._transport is not None and not self.gone:
            self._transport.write(data)

    def room(self, depth: int, alone: bool) -> int:
        """How many more jobs this worker should be sent now."""
        if not self.ready or self.gone:
            return 0
        if not alone and self.kind == "plain":
            depth = min(depth, max(2, int(SPREAD_SECONDS / self.pace)))
        return depth - len(self.jobs)

    def measure(self) -> None:
        """A job was answered: learn how long one takes."""
        now = time.monotonic()
        if self._last_answer:
            self.pace += 0.1 * (now - self._last_answer - self.pace)
        self._last_answer = now if self.jobs else 0.0

    def interrupt(self, job: Job) -> None:
        """Nobody wants the answer of a job any more that this worker was sent."""
        self.send(frames.pack(frames.CANCEL, job.number))
        if self.kind == "plain" and job.position <= self.page.taken:
            self.page.unwanted = job.number
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, INTERRUPT)

    def stop(self) -> None:
        """Let the worker end in its own time: it sees the end of its input."""
        if self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        """End the worker and everything that it started, now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def bury(self) -> str:
        """Wait for the ended process, give back what it held, and say how it ended."""
        self.gone = True
        try:
            status = self.process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            # It closed its socket and went on, so it is of no use any more.
            self.kill()
            status = self.process.wait()
        self.kill()
        if self._transport is not None:
            self._transport.abort()
        with contextlib.suppress(OSError):
            os.close(self._lifeline)
        self.page.close()
        return describe_status(status)


def describe_status(status: int) -> str:
    """How a process ended, in words: `exit status 3`, `killed by SIGSEGV (...)`."""
    if status >= 0:
        return f"exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hints = {
        "SIGKILL": " (out of memory?)",
        "SIGSEGV": " (a crash in compiled code)",
        "SIGABRT": " (an abort in compiled code)",
        "SIGILL": " (compiled for another processor?)",
    }
    return f"killed by {name}{hints.get(name, '')}"


def _environment() -> dict[str, str]:
    hidden = ("SAGETURNER_TOKEN", "SAGETURNER_LISTEN_FD", "SAGETURNER_LIFELINE_FD",
              "SAGETURNER_CONTROL", "SAGETURNER_ACCEPT")  # fmt: skip
    return {name: value for name, value in os.environ.items() if name not in hidden}


class Pool:
    """Workers, the queue in front of them, and their health.

    Args:
        settings: The server's.
        log: Gets what happens to workers.
        on_ready: Called once, when all workers have loaded the model for the first time.
        on_failed: Called when load fails before that; the workers have ended then.

    Attributes:
        load_seconds: Seconds from a worker's start to its model being loaded; None before.
        example: JSON of the program's example request, where it has one.
    """

    def __init__(
        self,
        settings: Settings,
        log: Log,
        on_ready: Callable[[], None],
        on_failed: Callable[[Failure], None],
    ) -> None:
        serving = settings.serving
        self._log = log
        self._timeout = serving.timeout_s
        self._size = serving.workers
        self._limit = serving.queue
        self._on_ready = on_ready
        self._on_failed = on_failed
        self._waiting: deque[Job] = deque()
        self._jobs: dict[int, Job] = {}
        self._last = 0
        self._depth = max(DEPTH, 2 * serving.batch.max_size)
        self._strikes = 0
        self._was_ready = False
        self._closing = False
        self._restarts: set[asyncio.TimerHandle] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self.load_seconds: float | None = None
        self.example: Any = None
        self.workers = [Worker(self) for _ in range(self._size)]

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
        """Whether the model was loaded and restarts of workers, if any were needed, helped."""
        return self._was_ready and self._strikes < STRIKES

    @property
    def outstanding(self) -> int:
        """Requests that wait or run."""
        return len(self._jobs)

    def submit(self, name: str, head: bytes, body: bytes, exchange: Exchange) -> None:
        """Answer a request as soon as a worker can.

        Args:
            name: The request's id in the log.
            head: From `frames.request_head`.
            body: Undecoded.
            exchange: Gets the answer.

        Raises Problem (429 or 503) when there is no place for it.
        """
        if len(self._jobs) >= self._limit:
            message = f"{self._limit} requests wait or run already (serving.queue)"
            raise Problem(429, "Overloaded", message)
        if not self.healthy and self._was_ready and not any(w.ready for w in self.workers):
            raise Problem(503, "Unhealthy", "the workers keep ending; see the log")
        self._last = self._last % 0xFFFFFFFF + 1
        number = self._last
        frame = frames.pack_request(number, head, body)
        job = Job(number, name, frame, exchange, self._timeout)
        self._jobs[number] = job
        exchange.gone = lambda: self._abandon(job)
        self._waiting.append(job)
        self._pump()

    def check(self) -> None:
        """Answer what has taken too long; to be called several times a second."""
        now = time.monotonic()
        for job in [job for job in self._jobs.values() if job.deadline < now]:
            self._too_late(job, now)
        for worker in list(self.workers):
            # Its socket tells sooner, but not where a child of its own holds the other end too.
            if worker.process.poll() is not None and worker.ended_at is None:
                worker.ended_at = now
            elif worker.ended_at is not None:
                self.worker_gone(worker)
        if self._strikes and not self._closing:
            calm = all(w.ready and now - w.ready_since > CALM_SECONDS for w in self.workers)
            if calm and len(self.workers) == self._size:
                self._strikes = 0

    async def close(self, seconds: float) -> None:
        """End the workers: let them end for `seconds`, then kill them."""
        self._closing = True
        for restart in self._restarts:
            restart.cancel()
        for worker in self.workers:
            worker.stop()
        deadline = time.monotonic() + seconds
        while any(w.process.poll() is None for w in self.workers) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        self.kill()

    def kill(self) -> None:
        """End the workers now."""
        self._closing = True
        for worker in self.workers:
            worker.kill()
        for worker in self.workers:
            worker.process.wait()

    # From workers.

    def worker_ready(self, worker: Worker, said: dict[str, Any]) -> None:
        self.load_seconds = said["load_seconds"]
        self.example = said["example"]
        if self._was_ready:
            self._log.info(f"worker {worker.process.pid} is ready again")
        elif all(each.ready for each in self.workers):
            self._was_ready = True
            self._on_ready()
        self._pump()

    def from_worker(self, worker: Worker, kind: int, number: int, payload: bytes) -> None:
        job = worker.jobs.get(number)
        if job is None:
            return
        exchange = job.exchange
        if kind == frames.ANSWER:
            self._done(job)
            if exchange is not None:
                head, body = frames.unpack_answer(payload)
                exchange.answer(head.status, head.content_type, body, _headers(head))
            self._strikes = 0
        elif kind == frames.STREAM:
            job.streaming = True
            job.deadline = time.monotonic() + self._timeout
            if exchange is not None:
                head, _ = frames.unpack_answer(payload)
                exchange.writable = lambda: self._acknowledge(job)
                exchange.start(head.status, head.content_type, _headers(head))
        elif kind == frames.CHUNK:
            job.deadline = time.monotonic() + self._timeout
            job.unacknowledged += len(payload)
            if exchange is not None:
                exchange.chunk(payload)
                if not exchange.slow:
                    self._acknowledge(job)
        else:
            self._done(job)
            if exchange is None:
                pass
            elif kind == frames.END:
                exchange.end()
            elif job.streaming:
                exchange.cut()
            else:
                exchange.refuse(Problem(500, "Cancelled", "predict was cancelled from inside"))
        if self._waiting:
            self._pump()

    def worker_gone(self, worker: Worker) -> None:
        if worker.gone:
            return
        taken = worker.page.taken
        how = worker.bury()
        self.workers.remove(worker)
        if self._closing:
            return
        if not self._was_ready:
            self._load_failed(worker, how)
            return
        self._strikes += 1
        doing = "while it ran predict" if worker.ready else "while it loaded the model"
        self._log.error(f"worker {worker.process.pid} ended {doing}: {how}; it is replaced")
        message = f"the worker process ended while it ran predict: {how}"
        for job in reversed(worker.jobs.values()):
            job.worker = None
            if job.exchange is None:
                del self._jobs[job.number]
            elif job.position > taken:
                job.position = 0
                self._waiting.appendleft(job)
            else:
                del self._jobs[job.number]
                self._fail(job, Problem(500, "WorkerDied", message))
        worker.jobs.clear()
        self._restart()

    # Its own.

    def _load_failed(self, worker: Worker, how: str) -> None:
        failure = worker.failure or Failure(
            "WorkerDied", f"the worker process ended while it loaded the model: {how}"
        )
        self.kill()
        self._on_failed(failure)

    def _restart(self) -> None:
        loop = asyncio.get_running_loop()
        pause = (
            0.0 if self._strikes < STRIKES else min(2.0 ** (self._strikes - STRIKES), LONGEST_PAUSE)
        )

        def start() -> None:
            self._restarts.discard(handle)
            if self._closing:
                return
            worker = Worker(self)
            self.workers.append(worker)
            task = loop.create_task(worker.connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

        handle = loop.call_later(pause, start)
        self._restarts.add(handle)
        if self._strikes >= STRIKES:
            problem = Problem(503, "Unhealthy", "the workers keep ending; see the log")
            while self._waiting and not any(w.ready for w in self.workers):
                job = self._waiting.popleft()
                del self._jobs[job.number]
                self._fail(job, problem)

    def _pump(self) -> None:
        alone = self._size == 1
        while self._waiting:
            worker = max(self.workers, key=lambda w: w.room(self._depth, alone), default=None)
            if worker is None or worker.room(self._depth, alone) <= 0:
                return
            job = self._waiting.popleft()
            if job.exchange is None:
                del self._jobs[job.number]
                continue
            worker.sent += 1
            job.position = worker.sent
            job.worker = worker
            worker.jobs[job.number] = job
            worker.send(job.frame)

    def _done(self, job: Job) -> None:
        assert job.worker is not None
        del job.worker.jobs[job.number]
        del self._jobs[job.number]
        job.worker.measure()

    def _acknowledge(self, job: Job) -> None:
        taken, job.unacknowledged = job.unacknowledged, 0
        if taken and job.worker is not None:
            job.worker.send(frames.pack_acknowledge(job.number, taken))

    def _abandon(self, job: Job) -> None:
        job.exchange = None
        if job.worker is not None:
            job.worker.interrupt(job)
        else:
            self._waiting.remove(job)
            del self._jobs[job.number]

    def _fail(self, job: Job, problem: Problem) -> None:
        exchange, job.exchange = job.exchange, None
        if exchange is None:
            return
        exchange.gone = None
        if job.streaming:
            exchange.cut()
        else:
            exchange.refuse(problem)

    def _too_late(self, job: Job, now: float) -> None:
        worker = job.worker
        limit = f"{self._timeout:g} s (serving.timeout_s)"
        if worker is None or job.position > worker.page.taken:
            waited = f"the request waited for a free worker for {limit}; predict did not begin"
            self._log.error(waited, request_id=job.name)
            self._fail(job, Problem(504, "QueueTimeout", waited))
            if worker is None:
                self._waiting.remove(job)
                del self._jobs[job.number]
            else:
                job.deadline = float("inf")
                worker.interrupt(job)
            return
        if job.exchange is not None and job.exchange.slow:
            job.deadline = now + self._timeout  # predict waits for the client, not we for it.
            return
        message = f"predict did not answer within {limit}"
        if not job.cancelled:
            self._log.error(message, request_id=job.name)
        self._fail(job, Problem(504, "PredictTimeout", message))
        if worker.kind == "async" and not job.cancelled:
            # Others run beside it; they need not end with it if it heeds its cancellation.
            job.cancelled = True
            job.deadline = now + CANCEL_SECONDS
            worker.interrupt(job)
        else:
            job.deadline = float("inf")
            worker.kill()


def _headers(head: frames.AnswerHead) -> str:
    if not head.custom_attributes:
        return ""
    return f"x-amzn-sagemaker-custom-attributes: {head.custom_attributes}\r\n"
