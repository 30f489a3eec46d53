"""Let SIGTERM stop work as Ctrl-C does, so that it cleans up and says what is left."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

EXIT_CODE = 128 + signal.SIGTERM
"""What a shell shows for a process that SIGTERM ended."""

CLEAN_UP_S = 25.0
"""Docker and Kubernetes, which run many notebooks, kill 10 to 30 s after SIGTERM."""


class Background(Protocol):
    """Work in a thread that nobody waits for."""

    def cancel(self) -> None: ...

    def ended(self, timeout_s: float) -> bool:
        """Wait until it has ended and cleaned up; False after `timeout_s`."""


_background: list[Background] = []


def cancel_at_sigterm(work: Background) -> None:
    """Let SIGTERM cancel `work`, and end this process once it has cleaned up.

    It changes nothing outside the main thread, and where the process handles or ignores SIGTERM.
    """
    if _is_free():
        _background[:] = [each for each in _background if not each.ended(0)] + [work]
        signal.signal(signal.SIGTERM, _end_background)


def _end_background(number: int, frame: FrameType | None) -> None:
    # A second one ends the process at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for work in _background:
        work.cancel()
    deadline = time.monotonic() + CLEAN_UP_S
    for work in _background:
        work.ended(max(0.0, deadline - time.monotonic()))
    os.kill(os.getpid(), signal.SIGTERM)


def _is_free() -> bool:
    on_main = threading.current_thread() is threading.main_thread()
    return on_main and signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, _end_background)


@contextmanager
def sigterm_interrupts() -> Iterator[Callable[[], bool]]:
    """Raise KeyboardInterrupt in the body at the first SIGTERM.

    It gives a function that tells whether SIGTERM came. It changes nothing in other threads than
    the main one, and where the process handles or ignores SIGTERM already.
    """
    came = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if not came:  # timeout(1) sends it twice, to the process and to its group.
            came = True
            raise KeyboardInterrupt

    if not _is_free():
        yield lambda: False
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """As `sigterm_interrupts`; after the body SIGTERM ends this process, as it would have."""
    ends: Callable[[], bool] = bool
    try:
        with sigterm_interrupts() as ends:
            yield
    finally:
        if ends():
            os.kill(os.getpid(), signal.SIGTERM)
