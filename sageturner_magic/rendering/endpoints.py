"""Show endpoints as a table, and one endpoint as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sageturner_magic.endpoints import EndpointDescription, Listing
from sageturner_magic.endpoints.measured import Cost, Total, cost_of, total_of
from sageturner_magic.rendering.findings import findings_data
from sageturner_magic.text import columns, duration, nearby

ENDPOINT_HEAD = ("Name", "Type", "Status", "Version", "Age", "Cost", "So far", "Code", "")
UNKNOWN = "unknown"
FREE = "free"
BY_USE = "by use"


def endpoint_row(endpoint: EndpointDescription, now: float) -> list[str]:
    """The cells of an endpoint's row, under `ENDPOINT_HEAD`. `now`: seconds since the epoch."""
    cost = cost_of(endpoint, now)
    return [
        endpoint.name,
        endpoint.endpoint_type,
        endpoint.status,
        endpoint.version,
        duration(now - endpoint.created),
        rate_text(cost),
        so_far_text(cost),
        nearby(endpoint.origin),
        endpoint.detail,
    ]


def endpoints_text(endpoints: Sequence[EndpointDescription], now: float) -> str:
    """Endpoints as a table, with what they cost together. `now`: seconds since the epoch."""
    if not endpoints:
        return "No endpoints. `sageturner deploy` creates one."
    rows = [list(ENDPOINT_HEAD), *(endpoint_row(endpoint, now) for endpoint in endpoints)]
    return "\n".join(filter(None, [columns(rows), endpoints_total(endpoints, now)]))


def endpoints_total(endpoints: Sequence[EndpointDescription], now: float) -> str:
    """What endpoints cost together; empty where all are free. `now`: seconds since the epoch."""
    return total_text(total_of([cost_of(each, now) for each in endpoints]))


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
    return f"Total: {'; '.join(parts)}" if parts else ""


def listing_text(listing: Listing) -> str:
    """All endpoints as a table, with what they cost."""
    return endpoints_text(listing.endpoints, listing.now)


def listing_data(listing: Listing) -> dict[str, Any]:
    """The same for programs."""
    costs = [cost_of(endpoint, listing.now) for endpoint in listing.endpoints]
    total = total_of(costs)
    return {
        "endpoints": [
            {**asdict(endpoint), "cost_so_far": cost.so_far, "billed_by_use": cost.by_use}
            for endpoint, cost in zip(listing.endpoints, costs, strict=True)
        ],
        "total": {
            "cost_per_hour": total.hour,
            "cost_so_far": total.so_far,
            "billed_by_use": total.by_use,
            "price_unknown": total.unknown,
        },
        "left_overs": [asdict(each) for each in listing.left_overs],
        "findings": findings_data(listing.notes),
    }
