"""One endpoint at a glance: what it is, how it was used lately, and what that cost."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from sageturner_magic.deployment import costs, words
from sageturner_magic.deployment.endpoint import MOST_HOURS, Endpoint
from sageturner_magic.deployment.load_result import blocks, milliseconds
from sageturner_magic.deployment.request import HERE, AwsOptions
from sageturner_magic.errors import AwsError, EndpointError, Finding
from sageturner_magic.targets.endpoint import EndpointDescription
from sageturner_magic.targets.load import Price
from sageturner_magic.targets.usage import Usage


@dataclass(frozen=True)
class Dashboard:
    """An endpoint at a glance.

    Attributes:
        usage: None where it is not known; `notes` says why.
        now: Seconds since the epoch.
        worked_s: Seconds that a serverless endpoint has answered requests since it was made, as
            far as CloudWatch remembers; None where it is not known, and for all others.
    """

    endpoint: EndpointDescription
    usage: Usage | None
    price: Price
    now: float
    notes: tuple[Finding, ...] = ()
    worked_s: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            **asdict(self.endpoint),
            "usage": self.usage.to_dict() if self.usage else None,
            "cost_so_far": cost_so_far(self),
        }


def dashboard(name: str, *, hours: float = 3.0, aws: AwsOptions = HERE) -> Dashboard:
    """Look at an endpoint.

    Args:
        name: The endpoint.
        hours: How far back requests are counted.

    Raises:
        EndpointError: There is no such endpoint.
        UsageError: The range makes no sense.
    """
    endpoint = Endpoint.at(name, aws)
    described, price, now = endpoint.describe(), endpoint.price(), time.time()
    usage, worked_s, notes = None, None, []
    try:
        usage = endpoint.usage(hours)
        if price.busy_second:
            # From the minute in which it was made on.
            age = min((now - described.created) / 3600 + 1 / 60, MOST_HOURS)
            worked_s = endpoint.usage(age).busy_seconds
    except (AwsError, EndpointError) as error:
        first = error.findings[0]
        notes.append(Finding(first.what, why=first.why, do=first.do, severity="note"))
    return Dashboard(described, usage, price, now, tuple(notes), worked_s)


def cost_so_far(shown: Dashboard) -> float | None:
    """US dollars since the endpoint was made, at its present price and size; None if unknown."""
    price = shown.price
    if price.hour is None or price.busy_second is None:
        return None
    always = price.hour * max(shown.now - shown.endpoint.created, 0.0) / 3600
    if not price.busy_second:
        return always
    return None if shown.worked_s is None else always + price.busy_second * shown.worked_s


def facts(shown: Dashboard) -> list[tuple[str, str]]:
    """What stands above the plots: label and value."""
    endpoint = shown.endpoint
    found = [
        ("Status", " · ".join(filter(None, (endpoint.status, endpoint.detail)))),
        ("Type", endpoint.endpoint_type),
        ("Version", endpoint.version),
        ("Age", words.duration(shown.now - endpoint.created)),
        ("Code", words.nearby(endpoint.origin)),
        ("Address", endpoint.url),
        ("Cost", _cost(shown)),
    ]
    return [(label, value) for label, value in found if value]


def _cost(shown: Dashboard) -> str:
    cost = costs.cost_of(shown.endpoint, shown.now)
    so_far = cost_so_far(shown)
    if cost.hour is None:
        return f"{costs.UNKNOWN}: AWS's price list has not told it"
    if cost.hour == 0 and not cost.by_use:
        return costs.FREE
    rates = [f"${cost.hour:.3f} an hour ({costs.money(cost.hour * 24)} a day)"] if cost.hour else []
    if cost.by_use:
        second = shown.price.busy_second
        price = f"${second:.5f} a second" if second else "at an unknown price"
        rates.append(f"billed by use, {price}")
    known = costs.UNKNOWN if so_far is None else f"about {costs.money(so_far)}"
    return f"{' + '.join(rates)}; since it was made {known}"


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
    return f"{first} to {last}, {words.duration(usage.period_s).removesuffix(' 0 s')} a bar"


def text(shown: Dashboard) -> str:
    """The dashboard for a terminal."""
    lines = [shown.endpoint.name]
    lines += [f"  {label:<12} {value}" for label, value in facts(shown)]
    if shown.usage:
        for plot in plots(shown.usage):
            chart = blocks([value or 0 for value in plot.values])
            lines.append(f"  {plot.label:<12} {chart}  {plot.said}")
        lines.append(f"  {'':<12} {time_range(shown.usage)}")
    lines += [f"{note.severity}: {note}" for note in shown.notes]
    return "\n".join(lines)
