"""Processes of workers: what they share with the front, where they run, how they ended."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import dataclass
from typing import Protocol

from ... import shared_page

UNKNOWN_STATUS = 256
"""In the place of an exit status (0 to 255) that nobody can tell."""


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


class Template(Protocol):
    """What is needed of the worker that forks others.

    Attributes:
        silent: Whether nothing more is heard of it.
    """

    silent: bool


class Forked:
    """A process that a template forked, which is the one to learn how it ends."""

    def __init__(self, template: Template) -> None:
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


@dataclass(frozen=True)
class Ends:
    # What a worker and the front share. The worker gets `theirs`, `descriptor` and `end`.
    mine: socket.socket
    theirs: socket.socket
    descriptor: int
    end: int
    lifeline: int

    @classmethod
    def make(cls) -> Ends:
        mine, theirs = socket.socketpair()
        end, lifeline = os.pipe()
        return cls(mine, theirs, shared_page.create(), end, lifeline)

    def of_worker(self) -> tuple[int, int, int]:
        return self.theirs.fileno(), self.descriptor, self.end

    def close_workers(self) -> None:
        self.theirs.close()
        os.close(self.descriptor)
        os.close(self.end)


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


def environment_of(workers: int) -> dict[str, str]:
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
