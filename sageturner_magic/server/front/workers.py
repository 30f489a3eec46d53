"""Start, talk to and end worker processes.

A worker is spawned, and loads the model itself, or it is forked off a template: a process that
has loaded the model and does nothing but fork, so that all workers share its memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, Protocol

from .. import frames, shared_page
from .job import Job

SPREAD_SECONDS = 0.002
"""With several workers, how much work one may have at hand while another may become idle."""

INTERRUPT = signal.SIGURG

UNKNOWN_STATUS = 256
"""In the place of an exit status (0 to 255) that nobody can tell."""

_CONTEXT = contextvars.Context()


@dataclass(frozen=True)
class Failure:
    """Why load failed: the class of the exception, what happened, the user's frames."""

    kind: str
    message: str
    traceback: tuple[str, ...] = ()


class Process(Protocol):
    """What is needed of a process: subprocess.Popen has it."""

    pid: int

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while the process runs."""


class Forked:
    """A process that a template forked, which is the one to learn how it ends."""

    def __init__(self, template: Worker) -> None:
        self._template = template
        self.pid = 0
        self.status: int | None = None

    def poll(self) -> int | None:
        """The exit status as the template told it, or as can be seen without a template.

        UNKNOWN_STATUS for one that has ended after its template.
        """
        if self.status is None and self.pid:
            try:
                # An orphan of the template is this process's own child where it is process 1.
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.status = os.waitstatus_to_exitcode(status)
            except ChildProcessError:
                # A living template tells it, a moment after it has reaped the process.
                if self._template.silent:
                    try:
                        os.kill(self.pid, 0)
                    except ProcessLookupError:
                        self.status = UNKNOWN_STATUS
        return self.status


class Owner(Protocol):
    """What a worker tells about itself."""

    def worker_ready(self, worker: Worker, said: dict[str, Any]) -> None:
        """The model is loaded; `said` has load_seconds, kind, example, forks, why_not."""

    def from_worker(self, worker: Worker, kind: int, number: int, payload: bytes) -> None:
        """A frame about a job."""

    def worker_gone(self, worker: Worker) -> None:
        """The worker has closed its socket."""


@dataclass(frozen=True)
class _Ends:
    # What a worker and the front share. The worker gets `theirs`, `descriptor` and `end`.
    mine: socket.socket
    theirs: socket.socket
    descriptor: int
    end: int
    lifeline: int

    @classmethod
    def make(cls) -> _Ends:
        mine, theirs = socket.socketpair()
        end, lifeline = os.pipe()
        return cls(mine, theirs, shared_page.create(), end, lifeline)

    def of_worker(self) -> tuple[int, int, int]:
        return self.theirs.fileno(), self.descriptor, self.end

    def close_workers(self) -> None:
        self.theirs.close()
        os.close(self.descriptor)
        os.close(self.end)


class Worker(asyncio.Protocol):
    """One worker process and the front's end of its socket pair.

    Attributes:
        ready: Whether it has loaded the model.
        silent: Whether its socket is closed, so that nothing more is heard of it.
        template: Whether it forks workers and serves nothing itself.
        jobs: What it was sent and has not answered.
        sent: How many jobs it was ever sent.
        page: The page of memory that it writes.
    """

    def __init__(self, owner: Owner, process: Process, ends: _Ends) -> None:
        self._owner = owner
        self.process = process
        self.page = shared_page.Page(ends.descriptor)
        self._channel = ends.mine
        self._lifeline = ends.lifeline
        self.ready = False
        self.ending = False
        self.gone = False
        self.silent = False
        self.template = False
        self.kind = "plain"
        self.failure: Failure | None = None
        self.jobs: dict[int, Job] = {}
        self.sent = 0
        self.ready_since = 0.0
        # Seconds for one job, smoothed; unknown and so slow at first.
        self._pace = 1.0
        self._since = 0.0
        self._taken_before = -1
        self._stuck = False
        self._reader = frames.FrameReader()
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []
        self._children: dict[int, Forked] = {}
        self._forks = 0

    @classmethod
    def spawn(cls, owner: Owner, workers: int, may_fork: bool) -> Worker:
        """Start a worker that imports and loads everything itself.

        Args:
            owner: Hears of it.
            workers: How many there are to be, which share the processors.
            may_fork: Whether it should become a template if nothing forbids it.
        """
        ends = _Ends.make()
        try:
            process = subprocess.Popen(
                [
                    sys.executable,
                    os.path.join(os.path.dirname(os.path.dirname(__file__)), "__main__.py"),  # noqa: PTH118, PTH120
                    "worker",
                    *map(str, ends.of_worker()),
                    *(["may-fork"] if may_fork else []),
                ],
                pass_fds=ends.of_worker(),
                env=_environment(workers),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            return cls(owner, process, ends)
        finally:
            ends.close_workers()

    def fork(self) -> Worker:
        """A worker that this template forks. Raises OSError if the template has ended."""
        ends = _Ends.make()
        try:
            self._forks += 1
            number = self._forks
            socket.send_fds(self._channel, [number.to_bytes(4, "little")], list(ends.of_worker()))
            process = self._children[number] = Forked(self)
            return type(self)(self._owner, process, ends)
        finally:
            ends.close_workers()

    async def connect(self) -> None:
        """Begin to listen to the worker."""
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self, sock=self._channel)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self.silent = True
        self._owner.worker_gone(self)

    def data_received(self, data: bytes) -> None:
        for kind, number, payload in self._reader.feed(data):
            if kind == frames.READY:
                said = json.loads(payload)
                self.ready = True
                self.ready_since = time.monotonic()
                self.kind = said["kind"]
                self.template = said["forks"]
                self._owner.worker_ready(self, said)
            elif kind == frames.FAILED:
                said = json.loads(payload)
                self.failure = Failure(said["type"], said["message"], tuple(said["traceback"]))
            elif kind == frames.FORKED:
                self._children[number].pid = int(payload)
            elif kind == frames.ENDED:
                self._children.pop(number).status = int(payload)
            else:
                self._owner.from_worker(self, kind, number, payload)

    # What the pool calls.

    def send(self, data: bytes) -> None:
        """Send a frame, together with others of the same turn of the loop."""
        if not self._outgoing:
            # With a context of its own, since copying the current one costs more than the call.
            asyncio.get_running_loop().call_soon(self._flush, context=_CONTEXT)
        self._outgoing.append(data)

    def room(self, depth: int, alone: bool) -> int:
        """How many more jobs this worker should be sent now."""
        if not self.ready or self.gone or self.template or self._stuck:
            return 0
        if not alone and self.kind == "plain":
            depth = min(depth, max(1, int(SPREAD_SECONDS / self._pace)))
        return depth - len(self.jobs)

    def give(self, job: Job) -> None:
        """Send the worker a job."""
        if not self.jobs:
            self._since = time.monotonic()
        self.sent += 1
        job.position = self.sent
        self.jobs[job.number] = job
        self.send(job.frame)

    def finish(self, job: Job) -> None:
        """A job was answered: forget it, and learn how long one takes."""
        del self.jobs[job.number]
        self._stuck = False
        now = time.monotonic()
        self._pace += 0.2 * (now - self._since - self._pace)
        self._since = now

    def stalled(self) -> bool:
        """Whether the worker has taken no job since the last call, though it has some.

        If so, it is given no others before it answers.
        """
        taken, before = self.page.taken, self._taken_before
        self._taken_before = taken
        self._stuck = taken == before and bool(self.jobs) and self.kind == "plain"
        return self._stuck

    def take_back(self) -> list[Job]:
        """The jobs that the worker has not begun, which it is told to drop."""
        taken = self.page.taken
        back = [job for job in self.jobs.values() if job.position > taken]
        for job in back:
            del self.jobs[job.number]
            job.position = 0
            self.send(frames.pack(frames.CANCEL, job.number))
        return back

    def interrupt(self, job: Job) -> None:
        """Nobody wants the answer of a job any more that this worker was sent."""
        self.send(frames.pack(frames.CANCEL, job.number))
        if self.kind == "plain" and job.position <= self.page.taken and self.process.pid:
            self.page.unwanted = job.number
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, INTERRUPT)

    def stop(self) -> None:
        """Let the worker end in its own time: it sees the end of its input."""
        if self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        """End the worker and everything that it started, now."""
        if not self.process.pid:
            self._cut_lifeline()  # It has not told its number yet; this ends it as well.
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            # Not the leader of its group yet, or gone.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)

    def bury(self) -> None:
        """Give back what is held for a worker that has ended."""
        self.gone = True
        if self.process.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)  # What it started and left behind.
        if self._transport is not None:
            self._transport.abort()
        self._cut_lifeline()
        self.page.close()

    def _cut_lifeline(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def _flush(self) -> None:
        data, self._outgoing = b"".join(self._outgoing), []
        transport = self._transport
        # uvloop's transport refuses to write once the worker has closed its end.
        if transport is not None and not self.gone and not transport.is_closing():
            transport.write(data)


def describe_status(status: int | None) -> str:
    """How a process ended, in words: `exit status 3`, `killed by SIGSEGV (...)`."""
    if status is None:
        return "it closed its connection"
    if status == UNKNOWN_STATUS:
        return "nobody could tell how"
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


def _environment(workers: int) -> dict[str, str]:
    hidden = ("SAGETURNER_TOKEN", "SAGETURNER_LISTEN_FD", "SAGETURNER_LIFELINE_FD",
              "SAGETURNER_CONTROL", "SAGETURNER_ACCEPT")  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    # Threads of a library meet after each operation. One that spins until the others have come
    # keeps from the processor the thread that it waits for, wherever the front or anything else
    # needs one too: a model may be ten times slower so (docs/server.md).
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    threads = max(1, processors() // workers)
    # OpenBLAS always spins; on most instances two processors are one core.
    environment.setdefault("OPENBLAS_NUM_THREADS", str(max(1, threads // 2)))
    if workers > 1:
        # Libraries take a thread a processor each; several workers would be in each other's way.
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            environment.setdefault(name, str(threads))
    return environment


def processors() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
