"""What endpoints cost, in figures and in words; what is not known is never taken for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sageturner_magic.targets.endpoint import EndpointDescription

UNKNOWN = "unknown"
FREE = "free"
BY_USE = "by use"


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


def rate_text(cost: Cost) -> str:
    """What it costs while it is there: `free`, `$0.230/h`, `by use`, `$0.029/h + use`."""
    return _text(cost, "" if cost.hour is None else f"${cost.hour:.3f}/h")


def so_far_text(cost: Cost) -> str:
    """What it has cost: `free`, `$2.30`, `by use`, `$2.30 + use`."""
    return _text(cost, "" if cost.so_far is None else money(cost.so_far))


def _text(cost: Cost, figure: str) -> str:
    if cost.hour is None:
        return UNKNOWN
    if cost.hour == 0:
        return BY_USE if cost.by_use else FREE
    return f"{figure} + use" if cost.by_use else figure


def money(dollars: float) -> str:
    """`$2.30`, `$1,204.00`; what is less than half a cent is not said to be nothing."""
    return "less than $0.01" if 0 < dollars < 0.005 else f"${dollars:,.2f}"


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


def total_text(total: Total) -> str:
    """The sum in a line; empty where everything is free."""
    parts = []
    if total.hour:
        parts.append(
            f"{money(total.hour * 24)} a day (${total.hour:.3f} an hour),"
            f" about {money(total.so_far)} so far"
        )
    if total.by_use:
        parts.append(f"{total.by_use} billed by use")
    if total.unknown:
        parts.append(f"{total.unknown} whose price is unknown")
    return f"Together: {'; '.join(parts)}" if parts else ""


def listed_data(endpoints: Sequence[EndpointDescription], now: float) -> dict[str, Any]:
    """Endpoints with what they cost, for programs. `now`: seconds since the epoch."""
    costs = [cost_of(endpoint, now) for endpoint in endpoints]
    total = total_of(costs)
    return {
        "endpoints": [
            {**asdict(endpoint), "cost_so_far": cost.so_far, "billed_by_use": cost.by_use}
            for endpoint, cost in zip(endpoints, costs, strict=True)
        ],
        "total": {
            "cost_per_hour": total.hour,
            "cost_so_far": total.so_far,
            "billed_by_use": total.by_use,
            "price_unknown": total.unknown,
        },
    }
