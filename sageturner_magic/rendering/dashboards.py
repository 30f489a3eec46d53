"""Show one endpoint's dashboard as text."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from sageturner_magic.endpoints import Usage
from sageturner_magic.endpoints.measured import Dashboard, cost_of, cost_so_far
from sageturner_magic.rendering.endpoints import FREE, UNKNOWN, money
from sageturner_magic.rendering.findings import findings_data
from sageturner_magic.rendering.load_tests import blocks
from sageturner_magic.text import duration, milliseconds, nearby


def dashboard_facts(shown: Dashboard) -> list[tuple[str, str]]:
    """What stands above the plots: label and value."""
    endpoint = shown.endpoint
    found = [
        ("Status", " · ".join(filter(None, (endpoint.status, endpoint.detail)))),
        ("Type", endpoint.endpoint_type),
        ("Version", endpoint.version),
        ("Age", duration(shown.now - endpoint.created)),
        ("Code", nearby(endpoint.origin)),
        ("Address", endpoint.url),
        ("Cost", _cost(shown)),
    ]
    return [(label, value) for label, value in found if value]


def _cost(shown: Dashboard) -> str:
    cost = cost_of(shown.endpoint, shown.now)
    so_far = cost_so_far(shown)
    if cost.hour is None:
        return f"{UNKNOWN}: AWS's price list does not have it"
    if cost.hour == 0 and not cost.by_use:
        return FREE
    rates = [f"${cost.hour:.3f} an hour ({money(cost.hour * 24)} a day)"] if cost.hour else []
    if cost.by_use:
        second = shown.price.busy_second
        price = f"${second:.5f} a second" if second else "at an unknown price"
        rates.append(f"billed by use, {price}")
    spent = "cost so far unknown" if so_far is None else f"about {money(so_far)} so far"
    return f"{' + '.join(rates)}; {spent}"


@dataclass(frozen=True)
class Plot:
    """One row of small plots.

    Attributes:
        values: One for each period; None where there was nothing to measure.
        said: The same in numbers.
        bad: It shows errors.
    """

    label: str
    values: tuple[float | None, ...]
    said: str
    bad: bool = False


def plots(usage: Usage) -> list[Plot]:
    """Requests, errors and latency."""
    periods = usage.periods
    errors = usage.client_errors + usage.server_errors
    said = f"{errors:,}"
    if errors:
        said += f" ({usage.client_errors:,} with 4xx, {usage.server_errors:,} with 5xx)"
    mean, slowest = usage.mean_ms, usage.slowest_ms
    latency = "no requests"
    if mean is not None and slowest is not None:
        latency = f"mean {milliseconds(mean)}, slowest {milliseconds(slowest)}"
    return [
        Plot("Invocations", tuple(each.requests for each in periods), f"{usage.requests:,}"),
        Plot(
            "Errors",
            tuple(each.client_errors + each.server_errors for each in periods),
            said,
            bad=True,
        ),
        Plot("Latency", tuple(each.mean_ms for each in periods), latency),
    ]


def time_range(usage: Usage) -> str:
    """The range that the plots show, and how much time a bar is."""

    def clock(at: float, form: str) -> str:
        return time.strftime(form, time.localtime(at))

    same_day = clock(usage.start, "%F") == clock(usage.end, "%F")
    first = clock(usage.start, "%F %H:%M")
    last = clock(usage.end, "%H:%M" if same_day else "%F %H:%M")
    return f"{first} to {last}, {duration(usage.period_s).removesuffix(' 0 s')} a bar"


def dashboard_text(shown: Dashboard) -> str:
    """The dashboard for a terminal."""
    lines = [shown.endpoint.name]
    lines += [f"  {label:<12} {value}" for label, value in dashboard_facts(shown)]
    if shown.usage:
        for plot in plots(shown.usage):
            chart = blocks([value or 0 for value in plot.values])
            lines.append(f"  {plot.label:<12} {chart}  {plot.said}")
        lines.append(f"  {'':<12} {time_range(shown.usage)}")
    lines += [f"{note.severity}: {note.coded()}" for note in shown.notes]
    return "\n".join(lines)


def dashboard_data(shown: Dashboard) -> list[dict[str, Any]]:
    """The same for programs: a list of one, as `list` once had it."""
    return [{**shown.to_dict(), "findings": findings_data(shown.notes)}]
