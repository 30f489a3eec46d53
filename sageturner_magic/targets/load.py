"""One request of many: how an endpoint is asked again and again, and what each answer was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

THROTTLED = 429


@dataclass(frozen=True)
class Answer:
    """What came of one request.

    Attributes:
        status: HTTP status of the model server, or of AWS where it did not get that far; None
            where there was no answer.
        trouble: What went wrong in a few words, the same for the same cause; empty if nothing.
        detail: What the model or AWS said about it.
        size: Bytes of the answer.
    """

    status: int | None
    trouble: str = ""
    detail: str = ""
    size: int = 0


Ask = Callable[[], Answer]
"""Sends a request once, without trying again, and never raises for what the endpoint does.

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
