"""Read again what AWS does not show yet: a role, a policy or a tag that was just created.

IAM and the tags of most services are eventually consistent
(https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html, "Changes that I make are not
always immediately visible"). What is missing is believed at once, unless something is new.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
Pause = Callable[[float], None]

CONSISTENCY_S = 60.0
"""How long a role, a policy or a config that was just created may be unknown to other services."""
SEEN_S = 15.0
"""How long reads may miss it. Short: a problem that is real waits as long to be told."""


def once_seen(
    read: Callable[[], T],
    whole: Callable[[T], object],
    since: Callable[[], float],
    *,
    pause: Pause = time.sleep,
) -> T:
    """Return what `read()` returns; read again while it is not `whole` and something is new.

    Args:
        read: Reads from AWS; may be called several times.
        whole: Whether nothing is missing in what was read.
        since: When the newest thing was created that may not be seen yet, in seconds since 1970.
            Called only where something is missing.
        pause: Waits so many seconds; what it raises ends the work.
    """
    found = read()
    if whole(found):
        return found
    left, delay = min(SEEN_S, since() + SEEN_S - time.time()), 1.0
    while left > 0 and not whole(found):
        pause(delay)
        left, delay = left - delay, min(delay * 2, 8.0)
        found = read()
    return found
