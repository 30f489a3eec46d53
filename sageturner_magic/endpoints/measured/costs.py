"""Count what endpoints cost in US dollars; an unknown price is never counted as zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sageturner_magic.endpoints.kind import EndpointDescription


@dataclass(frozen=True)
class Cost:
    """What one endpoint costs, in US dollars; None where that is not known.

    Attributes:
        hour: Each hour, called or not, at the present price and size.
        so_far: The same since it was made.
        by_use: On top of that the seconds are billed in which requests are answered.
    """

    hour: float | None
    so_far: float | None
    by_use: bool


def cost_of(endpoint: EndpointDescription, now: float) -> Cost:
    """What an endpoint costs. `now`: seconds since the epoch."""
    hour = endpoint.cost_per_hour
    so_far = None if hour is None else hour * max(now - endpoint.created, 0.0) / 3600
    return Cost(hour, so_far, endpoint.endpoint_type == "serverless")


@dataclass(frozen=True)
class Total:
    """What endpoints cost together, as far as that is known, in US dollars.

    Attributes:
        hour: Each hour, called or not.
        so_far: The same since each of them was made.
        by_use: How many of them are billed for the seconds in which they answer, on top of that.
        unknown: How many are not counted, as their price is not known.
    """

    hour: float
    so_far: float
    by_use: int
    unknown: int


def total_of(costs: Sequence[Cost]) -> Total:
    """What endpoints cost together."""
    known = [cost for cost in costs if cost.hour is not None]
    return Total(
        hour=sum(cost.hour or 0.0 for cost in known),
        so_far=sum(cost.so_far or 0.0 for cost in known),
        by_use=sum(cost.by_use for cost in costs),
        unknown=len(costs) - len(known),
    )
