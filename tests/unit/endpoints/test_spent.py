"""What endpoints have cost by day and version, and what the month is going to cost."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from sageturner_magic.endpoints.kind import EndpointDescription
from sageturner_magic.endpoints.measured.spent import Life, Ran, spent_of
from sageturner_magic.endpoints.usage import Period, Usage
from sageturner_magic.rendering.spent import spent_data, spent_text

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc).timestamp()
DAY = 86400.0


def endpoint(name: str, hour: float | None, days: float, kind: str = "server"):
    return EndpointDescription(name, kind, "InService", "b" * 12, NOW - days * DAY, "", "", hour)


def usage(requests: float, mean_ms: float = 100.0) -> Usage:
    """So many requests in each twelve hours of 30 days."""
    start = NOW - 30 * DAY
    return Usage(start, DAY / 2, (Period(requests=requests, mean_ms=mean_ms),) * 60)


def test_hours_of_each_version_cost_its_price():
    life = Life(
        endpoint("digits", 0.5, 2),
        (
            Ran("a" * 12, NOW - 2 * DAY, NOW - DAY / 4, 0.1),
            Ran("b" * 12, NOW - DAY / 4, NOW, 0.5),
        ),
        usage(10),
        0.0,
    )
    spent = spent_of([life], NOW)
    days = [(each.version[0], each.day, each.hours, each.requests) for each in spent.days]
    assert days == [
        ("a", "2026-11-19", 12.0, 20),
        ("a", "2026-11-20", 24.0, 20),
        ("a", "2026-11-21", 6.0, 0),
        ("b", "2026-11-21", 6.0, 10),
    ]
    assert [each.dollars for each in spent.days] == pytest.approx([1.2, 2.4, 0.6, 3.0])
    assert spent.month == pytest.approx(7.2)
    # Nine and a half days are left of November.
    assert spent.forecast == pytest.approx(7.2 + 9.5 * 24 * 0.5)
    assert spent.idle == () and spent.unknown == ()


def test_the_work_of_a_serverless_endpoint_is_priced_by_the_second():
    life = Life(
        endpoint("chat", 0.0, 40, "serverless"),
        (Ran("b" * 12, NOW - 40 * DAY, NOW, 0.0),),
        usage(100, 200.0),
        0.01,
    )
    spent = spent_of([life], NOW)
    assert len(spent.days) == 30 and spent.days[-2].requests == 200
    assert spent.days[-2].dollars == pytest.approx(200 * 0.2 * 0.01)
    assert spent.forecast - spent.month == pytest.approx(9.5 * 0.4)
    assert spent.idle == ()


def test_an_endpoint_that_nobody_uses_is_named_with_what_ending_it_saves():
    ran = (Ran("b" * 12, NOW - 10 * DAY, NOW, 1.0),)
    idle = Life(endpoint("forgotten", 1.0, 10), ran, usage(0), 0.0)
    young = Life(endpoint("young", 1.0, 1), ran, usage(0), 0.0)
    spent = spent_of([idle, young], NOW)
    assert [(each.endpoint, each.days, each.month) for each in spent.idle] == [
        ("forgotten", 7, pytest.approx(730))
    ]
    assert "`sageturner delete forgotten` saves $730.00 a month" in spent_text(spent)
    # Where CloudWatch does not tell, nobody is called idle.
    assert spent_of([Life(idle.endpoint, ran, None, 0.0)], NOW).idle == ()


def test_what_is_unknown_is_not_counted_as_nothing():
    life = Life(endpoint("dear", None, 1), (Ran("b" * 12, NOW - DAY, NOW, None),), usage(1), 0.0)
    spent = spent_of([life], NOW)
    assert {each.dollars for each in spent.days} == {None} and spent.unknown == ("dear",)
    assert "the price is unknown: dear" in spent_text(spent)
    assert spent_data(spent)["days"][0]["dollars"] is None
    assert "No endpoints" in spent_text(spent_of([], NOW))


def test_the_days_are_a_frame():
    pandas = pytest.importorskip("pandas")
    ran = (Ran("b" * 12, NOW - DAY, NOW, 1.0),)
    frame = spent_of([Life(endpoint("digits", 1.0, 1), ran, usage(1), 0.0)], NOW).frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["dollars"].sum() == pytest.approx(24.0)
