"""Do small work beside what the user waits for, in threads that end with this process."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from contextlib import suppress

MOST_S = 10.0
"""A process that ends waits so long for the work that it has begun."""

_begun: list[threading.Thread] = []


def beside(work: Callable[[], object]) -> None:
    """Run `work` in a thread of its own. It must raise nothing."""
    thread = threading.Thread(target=work, name="sageturner-beside", daemon=True)
    thread.start()
    _begun[:] = [*filter(threading.Thread.is_alive, _begun), thread]


@atexit.register
def finish_beside() -> None:
    """Wait until the work has ended; Ctrl-C ends the wait."""
    with suppress(KeyboardInterrupt):
        while _begun:
            _begun.pop().join(MOST_S)
