"""Estimate what endpoints have cost by day and version, and what the month is going to cost.

AWS's bill is a day late and needs permissions that few have. This counts hours times price instead,
and the seconds that CloudWatch says a serverless endpoint worked.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from sageturner_magic.aws import account as aws_account
from sageturner_magic.aws.endpoints import list_versions
from sageturner_magic.context import DEFAULT_AWS, AwsOptions
from sageturner_magic.endpoints.endpoint import Endpoint, listing
from sageturner_magic.endpoints.kind import EndpointDescription
from sageturner_magic.endpoints.usage import Period, Usage
from sageturner_magic.errors import AwsError, Finding

DAYS = 30
IDLE_DAYS = 7
_DAY = 86400.0


@dataclass(frozen=True)
class DayCost:
    """What a version of an endpoint has cost on a day of UTC.

    Attributes:
        hours: How long it was there on that day.
        requests: How many came; None where that is not known.
        dollars: None where the price is not known.
    """

    endpoint: str
    version: str
    day: str
    hours: float
    requests: int | None
    dollars: float | None


@dataclass(frozen=True)
class Idle:
    """An endpoint that costs and got no request for `days`; `month` is US dollars a month."""

    endpoint: str
    days: int
    month: float


@dataclass(frozen=True)
class Spent:
    """What endpoints that exist have cost, estimated.

    Attributes:
        days: From the last 30 days, by endpoint and day.
        idle: Endpoints without a request for 7 days, and what each costs a month.
        month: US dollars since the first of this month.
        forecast: The same for the whole month, if everything stays as it is.
        unknown: Names of the endpoints that are not counted, as their price is not known.
    """

    days: tuple[DayCost, ...]
    idle: tuple[Idle, ...]
    month: float
    forecast: float
    unknown: tuple[str, ...] = ()
    notes: tuple[Finding, ...] = ()

    def frame(self) -> Any:
        """The days as a pandas DataFrame; pandas has to be installed."""
        import pandas

        return pandas.DataFrame([asdict(each) for each in self.days])


@dataclass(frozen=True)
class Ran:
    """A version that served from `start` to `end`, for `hour` US dollars an hour (or unknown)."""

    version: str
    start: float
    end: float
    hour: float | None


@dataclass(frozen=True)
class Life:
    """All that is known of one endpoint. Attributes: busy_second, price of a second of work."""

    endpoint: EndpointDescription
    ran: tuple[Ran, ...]
    usage: Usage | None
    busy_second: float | None


def read_spent(name: str | None = None, *, aws: AwsOptions = DEFAULT_AWS) -> Spent:
    """Estimate what one endpoint on SageMaker, or each of them, has cost.

    Args:
        name: The endpoint; None for all.

    Raises:
        EndpointError: There is no such endpoint.
        AwsError: AWS cannot be asked.
    """
    now, notes = time.time(), list[Finding]()
    found = [Endpoint.at(name, aws).describe()] if name else [*listing(aws).endpoints]
    lives = [_life(each, aws, now, notes) for each in found if each.endpoint_type != "local"]
    return spent_of(lives, now, tuple(dict.fromkeys(notes)))


def _life(endpoint: EndpointDescription, aws: AwsOptions, now: float, notes: list[Finding]) -> Life:
    where = Endpoint.at(endpoint.name, AwsOptions(aws.profile, aws.region, "server"))
    usage: Usage | None = None
    ran: tuple[Ran, ...] = (Ran(endpoint.version, endpoint.created, now, endpoint.cost_per_hour),)
    try:
        usage = where.usage(DAYS * 24)
        ran = _ran(endpoint, aws, now)
    except AwsError as error:
        first = error.findings[0]
        notes.append(Finding(first.what, why=first.why, do=first.do, severity="note"))
    return Life(endpoint, ran, usage, where.price().busy_second)


def _ran(endpoint: EndpointDescription, aws: AwsOptions, now: float) -> tuple[Ran, ...]:
    """Its versions one after another, each from its creation on: AWS keeps no other record."""
    session = aws.open()
    versions = sorted(list_versions(session, endpoint.name), key=lambda each: each.created)
    prices = {
        each.version: aws_account.hourly(session, each.compute) if each.compute else None
        for each in versions
    }
    before = [each for each in versions if each.version != endpoint.version]
    last = max((e.created for e in versions if e.version == endpoint.version), default=now)
    order = [(each.version, each.created) for each in before if each.created < last]
    order.append((endpoint.version, last))
    starts = [max(endpoint.created, start) for _, start in order]
    # What is older than the endpoint is left of one of the same name.
    kept = [i for i, start in enumerate(starts) if i == len(starts) - 1 or start < starts[i + 1]]
    starts[kept[0]] = endpoint.created
    ends = [*(starts[i] for i in kept[1:]), now]
    return tuple(
        Ran(
            order[i][0],
            starts[i],
            end,
            endpoint.cost_per_hour if i == len(order) - 1 else prices[order[i][0]],
        )
        for i, end in zip(kept, ends, strict=True)
    )


def spent_of(lives: Sequence[Life], now: float, notes: tuple[Finding, ...] = ()) -> Spent:
    """What endpoints have cost until `now`, in seconds since 1970. Pure."""
    days = [day for life in lives for day in days_of(life, now)]
    today = datetime.fromtimestamp(now, timezone.utc)
    month = sum(each.dollars or 0.0 for each in days if each.day >= f"{today:%Y-%m}-01")
    length = calendar.monthrange(today.year, today.month)[1]
    first = today.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()
    left = max(first + length * _DAY - now, 0.0)
    rates = [_rate(life, now) for life in lives]
    idle = [found for life in lives if (found := _idle(life, now))]
    return Spent(
        tuple(days),
        tuple(idle),
        month,
        month + sum(rate or 0.0 for rate in rates) * left,
        tuple(life.endpoint.name for life, rate in zip(lives, rates, strict=True) if rate is None),
        notes,
    )


def days_of(life: Life, now: float) -> list[DayCost]:
    """The last days of an endpoint, oldest first. Requests count for a day's last version."""
    oldest = (now // _DAY - DAYS + 1) * _DAY
    found: list[DayCost] = []
    for number, ran in enumerate(life.ran):
        start = max(ran.start, oldest)
        midnight = start // _DAY * _DAY
        while midnight < ran.end:
            end = min(ran.end, midnight + _DAY)
            hours = max(end - max(start, midnight), 0.0) / 3600
            is_last = end == midnight + _DAY or number == len(life.ran) - 1
            periods = _between(life.usage, midnight, midnight + _DAY) if is_last else []
            if hours:
                found.append(_day(life, ran, midnight, hours, periods))
            midnight += _DAY
    return found


def _day(life: Life, ran: Ran, midnight: float, hours: float, periods: Iterable[Period]) -> DayCost:
    listed = [*periods]
    dollars = None if ran.hour is None else hours * ran.hour
    if dollars is not None and life.busy_second != 0.0:
        work = None if life.busy_second is None or life.usage is None else _busy(listed)
        dollars = None if work is None else dollars + work * (life.busy_second or 0.0)
    return DayCost(
        life.endpoint.name,
        ran.version,
        f"{datetime.fromtimestamp(midnight, timezone.utc):%Y-%m-%d}",
        hours,
        round(sum(each.requests for each in listed)) if life.usage else None,
        dollars,
    )


def _between(usage: Usage | None, start: float, end: float) -> list[Period]:
    if usage is None:
        return []
    times = [usage.start + number * usage.period_s for number in range(len(usage.periods))]
    return [each for at, each in zip(times, usage.periods, strict=True) if start <= at < end]


def _busy(periods: Iterable[Period]) -> float:
    return sum(each.requests * (each.mean_ms or 0.0) for each in periods) / 1000


def _rate(life: Life, now: float) -> float | None:
    """US dollars a second from now on, with the work of the last week."""
    hour = life.endpoint.cost_per_hour
    if hour is None or life.busy_second is None:
        return None
    seconds = min(IDLE_DAYS * _DAY, max(now - life.endpoint.created, 3600.0))
    recent = _busy(_between(life.usage, now - seconds, now))
    return hour / 3600 + recent * life.busy_second / seconds


def _idle(life: Life, now: float) -> Idle | None:
    hour, age = life.endpoint.cost_per_hour, now - life.endpoint.created
    if not hour or life.usage is None or age < IDLE_DAYS * _DAY:
        return None
    if sum(each.requests for each in _between(life.usage, now - IDLE_DAYS * _DAY, now)):
        return None
    return Idle(life.endpoint.name, IDLE_DAYS, hour * 24 * 365 / 12)
