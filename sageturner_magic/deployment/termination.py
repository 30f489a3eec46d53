"""Let SIGTERM stop work as Ctrl-C does, so that it cleans up and says what is left."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 128 + signal.SIGTERM
"""What a shell shows for a process that SIGTERM ended."""


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

    free = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if not free or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """As `sigterm_interrupts`; after the body SIGTERM ends this process, as it would have."""
    with sigterm_interrupts() as came:
        try:
            yield
        finally:
            if came():
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                os.kill(os.getpid(), signal.SIGTERM)
