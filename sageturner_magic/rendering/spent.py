"""Show what endpoints have cost, as text and as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sageturner_magic.endpoints.measured import IDLE_DAYS, DayCost, Spent
from sageturner_magic.rendering.endpoints import UNKNOWN, money
from sageturner_magic.rendering.findings import findings_data
from sageturner_magic.text import columns

HEAD = ("Endpoint", "Version", "Day", "Hours", "Requests", "Cost")
ESTIMATED = (
    "Estimated from hours, prices and CloudWatch, with the instances that each version began with;"
    " AWS's bill decides."
)


def spent_text(spent: Spent) -> str:
    """The days as a table, the month, and the endpoints that nobody uses."""
    if not spent.days:
        return "No endpoints on SageMaker, so nothing has been spent on any that exists."
    month = f"{money(spent.month)} so far, {money(spent.forecast)} by its end"
    lines = [
        columns([HEAD, *map(_row, spent.days)]),
        f"This month: {month} if everything stays as it is.",
    ]
    if spent.unknown:
        lines.append(f"Not counted, as the price is unknown: {', '.join(spent.unknown)}")
    lines += [
        f"{idle.endpoint} had no request for {IDLE_DAYS} days: `sageturner delete {idle.endpoint}`"
        f" saves {money(idle.month)} a month."
        for idle in spent.idle
    ]
    lines += [f"{note.severity}: {note}" for note in spent.notes]
    return "\n".join([*lines, ESTIMATED])


def spent_data(spent: Spent) -> dict[str, Any]:
    """The same for programs."""
    return {
        "days": [asdict(each) for each in spent.days],
        "idle": [asdict(each) for each in spent.idle],
        "month": spent.month,
        "forecast": spent.forecast,
        "unknown": [*spent.unknown],
        "findings": findings_data(spent.notes),
    }


def _row(day: DayCost) -> tuple[str, ...]:
    requests = "" if day.requests is None else f"{day.requests:,}"
    cost = UNKNOWN if day.dollars is None else money(day.dollars)
    return (day.endpoint, day.version, day.day, f"{day.hours:.1f}", requests, cost)
