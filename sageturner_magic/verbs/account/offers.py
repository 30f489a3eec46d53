"""What a verb changed in an account, and what it could change besides."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Offer:
    """What a verb could do besides, and does after a yes only.

    Attributes:
        question: With what it costs; a yes or a no answers it.
        remedy: What to run instead, where nobody can be asked.
        accept: Does it; returns a line for each change.
    """

    question: str
    remedy: str
    accept: Callable[[], Collection[str]]


class Changes(list[str]):
    """What `setup` changed, a line each. Attributes: offer, what it could do besides."""

    offer: Offer | None = None

    def decide(self, agreed: bool | None) -> None:
        """Take the answer to the offer's question; None where nobody could be asked."""
        if self.offer and agreed:
            self.extend(self.offer.accept())
        if agreed is not None:
            self.offer = None
