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
from typing import Any, Protocol

from ... import frames, shared_page
from ...settings import Serving
from .. import clock
from .job import Job
from .process import Ends, Failure, Forked, Process, describe_status, environment_of
from .pulse import Pulse

SPREAD_SECONDS = 0.002
"""With several workers, how much work one may have at hand while another may become idle."""

SILENT_SECONDS = (5.0, 10.0)
"""How long a worker that runs no request may be silent: `serving.timeout_s` between these."""

INTERRUPT = signal.SIGURG

_CONTEXT = contextvars.Context()

_MAIN = os.path.join(os.path.dirname(frames.__file__), "__main__.py")  # noqa: PTH118, PTH120


class Owner(Protocol):
    """What a worker tells about itself."""

    def worker_ready(self, worker: Worker, said: dict[str, Any]) -> None:
        """The model is loaded; `said` has the seconds, kind, example, forks and why_not."""

    def from_worker(self, worker: Worker, kind: int, number: int, payload: bytes) -> None:
        """A frame about a job."""

    def worker_gone(self, worker: Worker) -> None:
        """The worker has closed its socket."""


class Worker(asyncio.Protocol):
    """One worker process and the front's end of its socket pair.

    Attributes:
        ready: Whether it has loaded the model.
        silent: Whether its socket is closed, so that nothing more is heard of it.
        template: Whether it forks workers and serves nothing itself.
        jobs: What it was sent and has not answered.
        sent: How many jobs it was ever sent.
        page: The page of memory that it writes.
        killed: Why the front killed it; empty where it did not.
    """

    def __init__(self, owner: Owner, process: Process, ends: Ends, timeout: float) -> None:
        self._owner = owner
        self._timeout = timeout
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
        self.killed = ""
        least, most = SILENT_SECONDS
        self._pulse = Pulse(min(max(timeout, least), most))
        # Jobs that were taken back from it, until it says what it did with them.
        self._withdrawn: dict[int, int] = {}
        self._reader = frames.FrameReader()
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []
        self._children: dict[int, Forked] = {}
        self._forks = 0

    @classmethod
    def spawn(cls, owner: Owner, serving: Serving, may_fork: bool) -> Worker:
        """Start a worker that imports and loads everything itself.

        Args:
            owner: Hears of it.
            serving: How many workers there are to be, and the timeout of a request.
            may_fork: Whether it should become a template if nothing forbids it.
        """
        ends = Ends.make()
        try:
            process = subprocess.Popen(
                [
                    sys.executable,
                    _MAIN,
                    "worker",
                    *map(str, ends.of_worker()),
                    *(["may-fork"] if may_fork else []),
                ],
                pass_fds=ends.of_worker(),
                env=environment_of(serving.workers),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            return cls(owner, process, ends, serving.timeout_s)
        finally:
            ends.close_workers()

    def fork(self) -> Worker:
        """A worker that this template forks. Raises OSError if the template has ended."""
        ends = Ends.make()
        try:
            self._forks += 1
            number = self._forks
            socket.send_fds(self._channel, [number.to_bytes(4, "little")], list(ends.of_worker()))
            process = self._children[number] = Forked(self)
            return type(self)(self._owner, process, ends, self._timeout)
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
                self.ready_since = clock.now()
                self.kind = said["kind"]
                self.template = said["forks"]
                self._owner.worker_ready(self, said)
            elif kind == frames.FAILED:
                said = json.loads(payload)
                self.failure = Failure(said["type"], said["message"], tuple(said["traceback"]))
            elif kind == frames.PONG:
                self._pulse.heard()
            elif kind == frames.FORKED:
                self._children[number].pid = int(payload)
            elif kind == frames.ENDED:
                self._children.pop(number).status = int(payload)
            else:
                if self._withdrawn and kind not in (frames.STREAM, frames.CHUNK):
                    self._withdrawn.pop(number, None)
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
        if not self.ready or self.ending or self.template or self._stuck:
            return 0
        if not alone and self.kind == "plain":
            depth = min(depth, max(1, int(SPREAD_SECONDS / self._pace)))
        return depth - len(self.jobs)

    def give(self, job: Job) -> None:
        """Send the worker a job."""
        if not self.jobs:
            self._since = clock.now()
        self.sent += 1
        job.position = self.sent
        self.jobs[job.number] = job
        self.send(job.frame)

    def finish(self, job: Job) -> None:
        """A job was answered: forget it, and learn how long one takes."""
        del self.jobs[job.number]
        self._stuck = False
        now = clock.now()
        self._pace += 0.2 * (now - self._since - self._pace)
        self._since = now

    def lost(self, now: float) -> bool:
        """Whether the worker has been silent for too long with no request running.

        To be called several times a second; it asks the worker, too.
        """
        if not self.ready or self.ending:
            return False
        if self._pulse.due(now):
            self._ask()
        if self._busy():
            self._pulse.excuse(now)
        return self._pulse.lost(now)

    def stalled(self, now: float) -> bool:
        """Whether the worker has taken no job since the last call, though it has some.

        If so, it is given no others before it answers.
        """
        taken, before = self.page.taken, self._taken_before
        self._taken_before = taken
        still = taken == before and bool(self.jobs) and self.kind == "plain"
        self._stuck = still or self._pulse.late(now)
        return self._stuck

    def take_back(self) -> list[Job]:
        """The jobs that the worker has not begun, which it is told to drop."""
        taken = self.page.taken
        back = [job for job in self.jobs.values() if job.position > taken]
        for job in back:
            del self.jobs[job.number]
            self._withdrawn[job.number] = job.position
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

    def kill(self, why: str = "") -> None:
        """End the worker and everything that it started, now; `why` is told as its end."""
        self.killed = self.killed or why
        if not self.process.pid:
            self._cut_lifeline()  # It has not told its number yet; this ends it as well.
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            # Not the leader of its group yet, or gone.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)

    def end(self) -> str:
        """How the worker ended, or that it has not."""
        return self.killed or describe_status(self.process.poll())

    def busy_with(self) -> str:
        """What the worker does, for a message about its end."""
        if not self.ready:
            return "while it loaded the model"
        return "while it ran predict" if self._busy() else "between two requests"

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

    def _busy(self) -> bool:
        # Whether it has begun something that it has not answered.
        taken = self.page.taken
        return any(job.position <= taken for job in self.jobs.values()) or any(
            position <= taken for position in self._withdrawn.values()
        )

    def _ask(self) -> None:
        if self.template:
            with contextlib.suppress(OSError):  # It has ended, or reads nothing.
                self._channel.send(bytes(4))
        else:
            self.send(frames.pack(frames.PING, 0))

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
