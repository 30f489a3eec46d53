"""Turn a budget into the time after which an endpoint must end. Pure.

The bound counts the most instances that autoscaling may start, at the price of the list, from the
deployment on. What was spent before is counted the same way: the time that the former bound had
left is what was left of the money.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

OVERLAP_S = 1800.0
"""Set aside for each update, during which the instances of both versions run and are billed."""

_TAG = re.compile(
    r"(?P<budget>[\d.]+) USD for (?P<most>\d+) of (?P<type>\S+) at (?P<each>[\d.e-]+) USD/h"
)


@dataclass(frozen=True)
class Spending:
    """A budget, and the most that an endpoint spends.

    Attributes:
        budget: US dollars, in all.
        most: Instances that may run at a time.
        instance_type: Of each.
        each: US dollars for an hour of one.
    """

    budget: float
    most: int
    instance_type: str
    each: float

    @property
    def hour(self) -> float:
        """US dollars an hour, at most."""
        return self.most * self.each

    @property
    def seconds(self) -> float:
        """How long the whole budget lasts, at least."""
        return self.budget / self.hour * 3600

    @property
    def tag(self) -> str:
        """It as the value of the tag of a lease."""
        budget, each = f"{self.budget:.10g}", f"{self.each:.10g}"
        return f"{budget} USD for {self.most} of {self.instance_type} at {each} USD/h"

    @property
    def reason(self) -> str:
        """Why an endpoint ends when it ends: `$20 pays for 43 h of at most 2 ml.m5.large`."""
        hours, minutes = int(self.seconds // 3600), int(self.seconds % 3600 // 60)
        lasts = f"{hours:,} h" if hours else f"{minutes} min"
        return f"${self.budget:g} pays for {lasts} of at most {self.most} {self.instance_type}"


def read_spending(tag: str) -> Spending | None:
    """The budget that the tag of a lease tells; None where it tells a time."""
    found = _TAG.fullmatch(tag)
    if found is None:
        return None
    return Spending(float(found["budget"]), int(found["most"]), found["type"], float(found["each"]))


def budget_end(
    now: float,
    wanted: Spending,
    former: Spending | None = None,
    end: float | None = None,
    *,
    overlap_s: float = 0.0,
) -> float:
    """When an endpoint must end so that it costs at most its budget, in seconds since 1970.

    Args:
        now: Seconds since 1970, before the change.
        wanted: The budget, and what runs from now on.
        former: The same of the time before; None for an endpoint that had no budget.
        end: When the endpoint would have ended; None as `former`.
        overlap_s: How long what ran before may run beside what runs from now on.
    """
    left = wanted.budget
    if former and end is not None:
        left += (end - now) / 3600 * former.hour - former.budget - overlap_s / 3600 * former.hour
    return math.floor(now + left / wanted.hour * 3600)
