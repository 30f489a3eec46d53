"""Run the front process from start to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .. import settings
from ..logs import Log
from . import clock
from .buffers import Buffers, limit
from .control import Control
from .hosts import Hosts
from .http import Connection
from .metrics import EMF_SECONDS, SAMPLES, Metrics
from .routes import Routes, State
from .workers import Failure, Pool

if TYPE_CHECKING:
    from .tracing import Tracer

BACKLOG = 2048

DRAIN_SECONDS = 25.0
"""From SIGTERM to the end at most; SageMaker and Docker kill after 30."""

LATE_SECONDS = 1.0
"""After SIGTERM, how long requests on connections that are already there are still taken: their
clients cannot know yet. Nothing is waited for when there is no connection."""

WORKER_END_SECONDS = 2.0
"""What a worker's own exit handlers get."""

FLUSH_SECONDS = 5.0
"""Between two messages of spans to the collector (the OpenTelemetry SDK's default)."""

M_MMAP_THRESHOLD = -3
LARGE_BLOCK = 4 << 20
"""Bytes; larger than most requests, for which mapping memory anew would cost time."""

TICK_SECONDS = 0.2
"""Between two looks at time limits."""


def main() -> int:
    """Serve until SIGTERM. Returns the exit status."""
    try:
        config = settings.read(os.environ)
    except settings.SettingsError as error:
        print("\n".join(f"sageturner: {each}" for each in error.problems), file=sys.stderr)
        return 2
    log = Log(config.log)
    try:
        listener = _listener(config)
    except OSError as error:
        log.error(f"cannot listen on {config.host}:{config.port}: {error.strerror}")
        return 2
    raise_file_limit()
    return _run(Front(config, log, listener).run())


def _run(work: Awaitable[int]) -> int:
    try:
        import uvloop
    except ImportError:
        loop = asyncio.new_event_loop()
    else:
        loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


def _tracer(log: Log) -> Tracer | None:
    # Imported only where it is used: it brings an HTTP client, which takes longer than all else.
    if not any(name.startswith("OTEL_EXPORTER_OTLP_") for name in os.environ):
        return None
    from . import tracing

    return tracing.from_environment(os.environ, log)


def _listener(config: settings.Settings) -> socket.socket:
    if config.listen_fd is not None:
        listener = socket.socket(fileno=config.listen_fd)
        os.set_inheritable(config.listen_fd, False)
        return listener
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((config.host, config.port))
    listener.listen(BACKLOG)
    return listener


def return_large_blocks() -> None:
    """Let glibc give memory of LARGE_BLOCK bytes and more back to the system when it is freed.

    By itself it keeps blocks of up to 32 MiB, once it has seen one: after twenty responses of 20 MB
    the front would hold 400 MB that nothing uses (M_MMAP_THRESHOLD in mallopt(3)).
    """
    import ctypes  # Takes a few milliseconds: not before the socket answers.

    with contextlib.suppress(OSError, AttributeError):  # Not glibc.
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)


def raise_file_limit() -> None:
    """Allow as many open files, and so connections, as the system lets this process have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Front:
    """The server between its start and its end.

    Args:
        config: The settings.
        log: For its own lines.
        listener: The bound, listening socket.
    """

    def __init__(self, config: settings.Settings, log: Log, listener: socket.socket) -> None:
        self._config = config
        self._log = log
        self._listener = listener
        self._address = listener.getsockname()
        self._state: State = "loading"
        self._failure: Failure | None = None
        self._connections: set[Connection] = set()
        self._finished = asyncio.Event()
        self._status = 0
        self._acceptor: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        # The workers start first: what they import takes longest.
        self._metrics = Metrics(SAMPLES if config.serving.metrics == "emf" else 0)
        self._tracer = _tracer(log)
        buffers = Buffers(limit(config.serving.max_body))
        self._pool = Pool(
            config, log, self._on_ready, self._on_failed, self._metrics, buffers, self._tracer
        )
        self._routes = Routes(
            self._pool,
            lambda: self._state,
            config.token,
            config.serving.max_body,
            buffers,
            self._metrics,
            self._tracer,
            Hosts(config.serving.allowed_hosts) if config.local else None,
        )

    async def run(self) -> int:
        """Serve; returns the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._spawn, self._drain)
        if self._config.lifeline_fd is not None:
            os.set_inheritable(self._config.lifeline_fd, False)
            loop.add_reader(self._config.lifeline_fd, self._lifeline_cut)
        control = None
        if self._config.control:
            try:
                control = Control(self._config.control, self.status, self._listener)
            except OSError as error:
                self._log.error(f"cannot listen on {self._config.control}: {error}")
                self._pool.kill()
                return 2
        await self._pool.connect()
        if not self._config.accept_when_ready:
            await self._accept()
        return_large_blocks()
        tick = loop.create_task(self._tick())
        if self._config.serving.metrics == "emf":
            self._spawn(self._tell_metrics)
        if self._tracer is not None:
            self._spawn(self._send_spans)
        await self._finished.wait()
        tick.cancel()
        if control is not None:
            if self._state == "failed":
                # Whoever started the server wants to know why; a moment for it to ask.
                control.asked.clear()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(control.asked.wait(), 1.0)
            control.close()
        for connection in list(self._connections):
            connection.abort()
        return self._status

    def status(self) -> dict[str, Any]:
        """What the control socket says."""
        failure, imports = self._failure, self._pool.import_seconds
        warmed = self._pool.described.get("warmed")
        return {
            **({} if imports is None else {"import_seconds": imports}),
            "state": self._state,
            "pid": os.getpid(),
            "load_seconds": self._pool.load_seconds,
            "warmed": warmed and {**warmed, "example": self._pool.described["example"]},
            "error": failure
            and {
                "type": failure.kind,
                "message": failure.message,
                "traceback": list(failure.traceback),
            },
        }

    def _spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await work()

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        self._acceptor = await loop.create_server(
            self._new_connection,
            # A copy, because closing the server closes what it was given.
            sock=self._listener.dup(),
            backlog=BACKLOG,
        )
        host, port = self._address[:2]
        self._log.info(f"listening on {host}:{port}", port=port)

    def _new_connection(self) -> Connection:
        connection = Connection(self._routes, self._connections)
        connection.draining = self._state == "draining"
        return connection

    async def _tick(self) -> None:
        frozen = 0.0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = clock.now()
            if frozen != clock.CLOCK.frozen:
                # What arrived during a freeze is read first, so that no connection closes on it.
                frozen = clock.CLOCK.frozen
                continue
            for connection in [each for each in self._connections if each.deadline < now]:
                connection.expire()
            self._pool.check()

    async def _send_spans(self) -> None:
        assert self._tracer is not None
        loop = asyncio.get_running_loop()
        while True:
            await loop.run_in_executor(None, self._tracer.flush)
            await asyncio.sleep(FLUSH_SECONDS)

    async def _tell_metrics(self) -> None:
        while True:
            await asyncio.sleep(EMF_SECONDS)
            self._write_metrics()

    def _write_metrics(self) -> None:
        line = self._metrics.emf(self._pool.gauges(), self._config.endpoint)
        if line is not None:
            self._log.raw(line)

    def _on_ready(self) -> None:
        if self._state != "loading":
            return
        self._state = "ready"
        self._log.info(
            f"the model is loaded, after {self._pool.load_seconds:.2f} s",
            load_seconds=self._pool.load_seconds,
        )
        if self._config.accept_when_ready:
            self._spawn(self._accept)

    def _on_failed(self, failure: Failure) -> None:
        if self._state == "draining":
            return
        self._state = "failed"
        self._failure = failure
        self._log.error(f"the server ends: {failure.message}")
        self._status = 1
        self._finished.set()

    def _lifeline_cut(self) -> None:
        assert self._config.lifeline_fd is not None
        with contextlib.suppress(BlockingIOError, InterruptedError):
            if os.read(self._config.lifeline_fd, 1) == b"":
                self._pool.kill()
                if self._config.control:
                    with contextlib.suppress(OSError):
                        os.unlink(self._config.control)  # noqa: PTH108
                os._exit(1)

    async def _drain(self) -> None:
        if self._state in ("draining", "failed"):
            return
        was_ready = self._state == "ready"
        self._state = "draining"
        self._log.info("ending: no new requests, those in flight are finished")
        began = clock.now()
        inherited = self._config.listen_fd is not None
        if inherited:
            # Another server may own the socket from now on, and gets what comes.
            self._close_listener()
        if was_ready:
            await self._finish_requests(began)
        self._close_listener()
        if self._config.serving.metrics == "emf":
            self._write_metrics()
        if self._tracer is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._tracer.flush)
        await self._pool.close(WORKER_END_SECONDS if was_ready else 0.0)
        self._finished.set()

    async def _finish_requests(self, began: float) -> None:
        # One that comes later closes with its answer; closed before its request is there, it would
        # be reset.
        present = list(self._connections)
        for connection in present:
            connection.draining = True
        while (passed := clock.now() - began) < DRAIN_SECONDS:
            if passed >= LATE_SECONDS:
                self._routes.refuse_from_now()
                for connection in present:
                    connection.close_idle()
            busy = self._pool.outstanding or any(each.busy for each in self._connections)
            if not busy and (passed >= LATE_SECONDS or not self._connections):
                return
            await asyncio.sleep(0.02)
        self._log.warning(f"{self._pool.outstanding} requests were not finished in time")

    def _close_listener(self) -> None:
        if self._acceptor is not None:
            self._acceptor.close()
            self._acceptor = None
        self._listener.close()
