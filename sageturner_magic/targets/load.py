"""What a load test needs from an endpoint: a way to send one request, and its price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sageturner_magic.values import Attempt

THROTTLED = 429


Send = Callable[[], Attempt]
"""Send a request once, without a retry. Failures of the endpoint are counted, never raised.

May be called from several threads.
"""


@dataclass(frozen=True)
class Price:
    """What an endpoint costs in US dollars; None where that is not known.

    Attributes:
        hour: Each hour, called or not.
        busy_second: Each second that a request takes, on top of that.
    """

    hour: float | None
    busy_second: float | None
