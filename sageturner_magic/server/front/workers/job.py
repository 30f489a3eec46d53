"""One request on its way through the queue and a worker to its response."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import frames
from .. import clock
from ..exchange import Exchange

if TYPE_CHECKING:
    from ..tracing import Span


class Job:
    """One request on its way to an answer.

    Attributes:
        number: Names it on the socket pair; counted from 1.
        name: The request's id in the log.
        frame: The whole REQUEST frame, kept for another worker.
        exchange: Where the answer goes; None once nobody wants it.
        arrived: clock.now() when the request was whole.
        deadline: clock.now() at which its answer is too late.
        position: Its place among all jobs that its worker was sent, from 1; 0 while it waits.
        span: Its trace, where traces are wanted.
        streaming: Whether the answer has begun, in chunks.
        cancelled: Whether its time is over and its worker was told.
        unacknowledged: Bytes of a stream that were written and not yet acknowledged.
    """

    __slots__ = (
        "arrived", "cancelled", "deadline", "exchange", "frame", "name", "number", "position",
        "span", "streaming", "unacknowledged",
    )  # fmt: skip

    def __init__(
        self, number: int, name: str, frame: bytes, exchange: Exchange, timeout: float
    ) -> None:
        self.number = number
        self.name = name
        self.frame = frame
        self.exchange: Exchange | None = exchange
        self.arrived = clock.now()
        self.deadline = self.arrived + timeout
        self.position = 0
        self.streaming = False
        self.cancelled = False
        self.unacknowledged = 0
        self.span: Span | None = None

    def renumber(self, number: int) -> None:
        """Become another number, because a worker still has the job under this one."""
        self.number = number
        self.frame = frames.renumber(self.frame, number)
