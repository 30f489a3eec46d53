"""Wait in the steps of a plan so that the user can stop them."""

from __future__ import annotations

import time
from collections.abc import Callable

from sageturner_magic.values import Reporter


def pausing(reporter: Reporter) -> Callable[[float], None]:
    """A function that sleeps some seconds, and ends when the user stops the deployment."""

    def pause(seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            reporter.checkpoint()
            time.sleep(min(left, 0.2))

    return pause
