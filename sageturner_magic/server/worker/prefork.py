"""Fork the workers off one that has loaded the model; keep forks of user code from serving."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

from .. import frames
from . import cuda


def why_not() -> str:
    """Why this process cannot be forked safely; empty when it can."""
    if not sys.platform.startswith("linux"):
        return "forking is only safe on Linux"
    if cuda.in_use():
        return "CUDA is in use"
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208
    if threads > 1:
        return f"load and what it imports have started {threads - 1} threads"
    return ""


def keep_children_out(channel: socket.socket, then: Callable[[], None] | None = None) -> None:
    """Give no process that is forked off this one the use of `channel`; call `then` in each.

    Two processes that read one socket would take each other's requests. A child gets nothing in
    the socket's place, under the same descriptor: closing it would tell an event loop's epoll,
    which the two share, to forget the parent's.
    """
    number = channel.fileno()
    socket_itself = os.fstat(number)

    def in_child() -> None:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(number), socket_itself):
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, number, inheritable=False)
                os.close(null)
        if then is not None:
            then()

    os.register_at_fork(after_in_child=in_child)


def end_child(worker: int) -> None:
    """End this process if it is not `worker`, but a fork of it that came out of user code.

    An exception that is being handled is written to stderr, as at the end of any process.
    """
    if os.getpid() == worker:
        return
    error = sys.exc_info()[1]
    if error is not None:
        sys.excepthook(type(error), error, error.__traceback__)
    sys.stderr.flush()
    os._exit(0 if error is None else 1)


class Template:
    """Forks workers at the front's command, and tells it how they end.

    Args:
        channel: This process's end of the socket pair. A command is a number of four bytes with
            three descriptors: the worker's own socket, page and lifeline. Number 0, without any,
            asks whether this process responds.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._numbers: dict[int, int] = {}

    def run(self) -> tuple[int, int, int] | None:
        """Fork at every command. Returns the three descriptors in each worker, and None in this
        process when the front is gone."""
        gc.collect()
        gc.freeze()  # So that collections in the workers do not touch, and so copy, what is shared.
        signal.signal(signal.SIGCHLD, self._reap)
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._channel, 4, 3)
            if not data:
                return None
            if not any(data):
                self._channel.sendall(frames.pack(frames.PONG, 0))
                continue
            if self._fork(int.from_bytes(data, "little")):
                self._channel.close()
                channel, page, lifeline = descriptors
                return channel, page, lifeline
            for descriptor in descriptors:
                os.close(descriptor)

    def _fork(self, number: int) -> bool:
        # No child may end before its number is known.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
            return True
        self._numbers[pid] = number
        self._channel.sendall(frames.pack(frames.FORKED, number, b"%d" % pid))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        return False

    def _reap(self, signum: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                number = self._numbers.pop(pid, None)
                if number is not None:
                    code = os.waitstatus_to_exitcode(status)
                    self._channel.sendall(frames.pack(frames.ENDED, number, b"%d" % code))
