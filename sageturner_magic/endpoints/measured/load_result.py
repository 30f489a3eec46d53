"""Summarise a load test: percentiles, throughput, errors. No I/O."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sageturner_magic.values import Attempt

THROTTLED = 429
PERCENTILES = (50, 90, 95, 99)
BINS = 24


@dataclass(frozen=True)
class Timed:
    """One request: its outcome and the seconds until the response was complete."""

    attempt: Attempt
    seconds: float


@dataclass(frozen=True)
class Bin:
    """Answers that took from `low` to `high` milliseconds (the last bin has no end)."""

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class LoadTest:
    """The result of a load test.

    Attributes:
        endpoint: Name of the endpoint.
        wanted: How many requests were to be sent.
        concurrency: How many at a time.
        seconds: From the first request to the last answer.
        timed: Every request that was answered or failed.
        cost: US dollars for the model's time, at most; None where that is not known.
        cost_note: What else the endpoint costs.
    """

    endpoint: str
    wanted: int
    concurrency: int
    seconds: float
    timed: tuple[Timed, ...] = field(repr=False)
    cost: float | None = None
    cost_note: str = ""

    @property
    def sent(self) -> int:
        """Requests that were sent; fewer than `wanted` when the test was stopped."""
        return len(self.timed)

    @property
    def stopped(self) -> bool:
        """Whether it ended before all requests were sent."""
        return self.sent < self.wanted

    @property
    def failed(self) -> int:
        """Requests without a good answer."""
        return sum(1 for each in self.timed if each.attempt.trouble)

    @property
    def throttled(self) -> int:
        """Requests that were refused because there were too many (429)."""
        return sum(1 for each in self.timed if each.attempt.status == THROTTLED)

    @property
    def latencies_ms(self) -> list[float]:
        """Of the good answers, sorted, in milliseconds."""
        return sorted(each.seconds * 1000 for each in self.timed if not each.attempt.trouble)

    @property
    def throughput(self) -> float:
        """Good answers a second."""
        return (self.sent - self.failed) / self.seconds if self.seconds else 0.0

    def errors(self) -> dict[str, int]:
        """What went wrong -> how often, the most frequent first."""
        troubles = Counter(each.attempt.trouble for each in self.timed if each.attempt.trouble)
        return dict(troubles.most_common())

    def examples(self) -> dict[str, str]:
        """What went wrong -> what was said the first time."""
        said: dict[str, str] = {}
        for each in self.timed:
            if each.attempt.trouble:
                said.setdefault(each.attempt.trouble, each.attempt.detail)
        return said

    def percentiles(self) -> dict[str, float]:
        """`p50` to `p99` and `max` in milliseconds; empty without a good answer."""
        latencies = self.latencies_ms
        if not latencies:
            return {}
        found = {f"p{rank}": percentile(latencies, rank) for rank in PERCENTILES}
        return {**found, "max": latencies[-1]}

    def histogram(self) -> list[Bin]:
        """How many good answers took how long; the slowest hundredth is in the last bin."""
        return histogram(self.latencies_ms)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON and data frames. Times in milliseconds."""
        return {
            "endpoint": self.endpoint,
            "requests": self.sent,
            "wanted": self.wanted,
            "stopped": self.stopped,
            "concurrency": self.concurrency,
            "seconds": self.seconds,
            "throughput": self.throughput,
            "failed": self.failed,
            "throttled": self.throttled,
            "latency_ms": self.percentiles(),
            "histogram": [
                {"from_ms": each.low, "to_ms": each.high, "count": each.count}
                for each in self.histogram()
            ],
            "errors": self.errors(),
            "bytes": sum(each.attempt.size for each in self.timed),
            "cost_usd": self.cost,
        }


def percentile(ordered: Sequence[float], rank: float) -> float:
    """The smallest value that at least `rank` per cent do not exceed (nearest rank)."""
    return ordered[max(math.ceil(len(ordered) * rank / 100), 1) - 1]


def histogram(ordered: Sequence[float]) -> list[Bin]:
    """Counts in bins of one round width, up to the 99th percentile and then all the rest."""
    if not ordered:
        return []
    low, high = ordered[0], percentile(ordered, 99)
    width = _round_width((high - low) / BINS)
    start = math.floor(low / width)
    bins = math.floor(high / width) - start + 1
    counts = [0] * bins
    for value in ordered:
        counts[min(math.floor(value / width) - start, bins - 1)] += 1
    return [
        Bin(round((start + place) * width, 6), round((start + place + 1) * width, 6), count)
        for place, count in enumerate(counts)
    ]


def _round_width(least: float) -> float:
    """The next larger of 1, 2 and 5 times a power of ten."""
    least = max(least, 0.001)
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
