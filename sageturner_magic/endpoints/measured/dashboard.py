"""Summarise one endpoint: what it is, its recent use, and what that cost."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from sageturner_magic.context import DEFAULT_AWS, AwsOptions
from sageturner_magic.endpoints.endpoint import MOST_HOURS, Endpoint
from sageturner_magic.endpoints.kind import EndpointDescription, Price
from sageturner_magic.endpoints.usage import Usage
from sageturner_magic.errors import AwsError, EndpointError, Finding


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


def read_dashboard(name: str, *, hours: float = 3.0, aws: AwsOptions = DEFAULT_AWS) -> Dashboard:
    """Look at an endpoint.

    Args:
        name: The endpoint.
        hours: How far back requests are counted, at most as long as the endpoint exists.

    Raises:
        EndpointError: There is no such endpoint.
        UsageError: The range makes no sense.
    """
    endpoint = Endpoint.at(name, aws)
    described, price, now = endpoint.describe(), endpoint.price(), time.time()
    usage, worked_s, notes = None, None, []
    try:
        # From the minute in which it was made on.
        age = max(now - described.created, 0.0) / 3600 + 1 / 60
        usage = endpoint.usage(min(hours, age) if hours > 0 else hours)
        if price.busy_second:
            worked_s = endpoint.usage(min(age, MOST_HOURS)).busy_seconds
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
