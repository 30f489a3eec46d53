"""The use of an endpoint in a range of time, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

POINTS = 60
"""Periods that a range is divided into, at most."""


@dataclass(frozen=True)
class Period:
    """What happened in one period.

    Attributes:
        requests: How many requests came.
        client_errors, server_errors: How many of them were answered with 4xx and 5xx.
        mean_ms, slowest_ms: Latency of the model; None where there was no request.
    """

    requests: float = 0.0
    client_errors: float = 0.0
    server_errors: float = 0.0
    mean_ms: float | None = None
    slowest_ms: float | None = None


@dataclass(frozen=True)
class Usage:
    """Periods of equal length that follow each other.

    Attributes:
        start: Seconds since the epoch.
        period_s: Length of each period in seconds.
        periods: From the oldest to the newest.
    """

    start: float
    period_s: float
    periods: tuple[Period, ...]

    @property
    def end(self) -> float:
        """Seconds since the epoch."""
        return self.start + self.period_s * len(self.periods)

    @property
    def requests(self) -> int:
        """Requests in the whole range."""
        return round(sum(each.requests for each in self.periods))

    @property
    def client_errors(self) -> int:
        """Requests that were answered with 4xx."""
        return round(sum(each.client_errors for each in self.periods))

    @property
    def server_errors(self) -> int:
        """Requests that were answered with 5xx."""
        return round(sum(each.server_errors for each in self.periods))

    @property
    def busy_seconds(self) -> float:
        """Seconds that the model worked, all requests together."""
        return sum(each.requests * (each.mean_ms or 0.0) for each in self.periods) / 1000

    @property
    def mean_ms(self) -> float | None:
        """Mean latency of all requests, in milliseconds."""
        return self.busy_seconds * 1000 / self.requests if self.requests else None

    @property
    def slowest_ms(self) -> float | None:
        """Latency of the slowest request, in milliseconds."""
        known = [each.slowest_ms for each in self.periods if each.slowest_ms is not None]
        return max(known, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "start": self.start,
            "end": self.end,
            "period_s": self.period_s,
            "requests": self.requests,
            "client_errors": self.client_errors,
            "server_errors": self.server_errors,
            "mean_ms": self.mean_ms,
            "slowest_ms": self.slowest_ms,
            "periods": [vars(each) for each in self.periods],
        }


def of_series(
    series: Mapping[str, Mapping[float, float]], *, start: float, period_s: float, count: int
) -> Usage:
    """CloudWatch's series (see `aws.metrics.requests`; latencies in microseconds) in one."""

    def values(key: str) -> list[float | None]:
        row: list[float | None] = [None] * count
        for at, value in series[key].items():
            place = int((at - start) // period_s)
            if 0 <= place < count:
                row[place] = value
        return row

    requests, client, server = values("requests"), values("client_errors"), values("server_errors")
    mean, slowest = values("mean"), values("slowest")
    return Usage(
        start,
        period_s,
        tuple(
            Period(
                requests=requests[place] or 0.0,
                client_errors=client[place] or 0.0,
                server_errors=server[place] or 0.0,
                mean_ms=_milliseconds(mean[place]),
                slowest_ms=_milliseconds(slowest[place]),
            )
            for place in range(count)
        ),
    )


def _milliseconds(microseconds: float | None) -> float | None:
    return None if microseconds is None else microseconds / 1000


@dataclass(frozen=True)
class Minute:
    """What a local server counted in one minute.

    Attributes:
        at: When it began, seconds since the epoch.
        seconds: Latencies of the `answered` requests together.
        slowest: The largest of them.
    """

    at: float
    requests: int
    client_errors: int
    server_errors: int
    answered: int
    seconds: float
    slowest: float


def of_minutes(minutes: Iterable[Minute], *, start: float, period_s: float, count: int) -> Usage:
    """Minutes put together to `count` periods of `period_s` seconds from `start` on."""
    sorted_in: list[list[Minute]] = [[] for _ in range(count)]
    for minute in minutes:
        place = int((minute.at - start) // period_s)
        if 0 <= place < count:
            sorted_in[place].append(minute)
    return Usage(start, period_s, tuple(_period(each) for each in sorted_in))


def _period(minutes: list[Minute]) -> Period:
    answered = sum(minute.answered for minute in minutes)
    return Period(
        requests=sum(minute.requests for minute in minutes),
        client_errors=sum(minute.client_errors for minute in minutes),
        server_errors=sum(minute.server_errors for minute in minutes),
        mean_ms=sum(minute.seconds for minute in minutes) * 1000 / answered if answered else None,
        slowest_ms=max(minute.slowest for minute in minutes) * 1000 if answered else None,
    )
