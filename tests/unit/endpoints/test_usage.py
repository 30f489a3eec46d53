"""How an endpoint was used, put together from minutes or from CloudWatch's series."""

from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.endpoints.usage import Minute, of_minutes, of_series


def minute(at, requests=1, client=0, server=0, answered=1, seconds=0.1, slowest=0.1):
    return Minute(at, requests, client, server, answered, seconds, slowest)


def test_minutes_are_put_together_to_periods():
    usage = of_minutes(
        [minute(0, seconds=0.1), minute(60, 3, 1, 1, 2, 0.5, 0.4), minute(120)],
        start=0,
        period_s=120,
        count=3,
    )
    assert [each.requests for each in usage.periods] == [4, 1, 0]
    assert (usage.requests, usage.client_errors, usage.server_errors) == (5, 1, 1)
    assert usage.periods[0].mean_ms == 200.0 and usage.periods[0].slowest_ms == 400.0
    assert usage.periods[2].mean_ms is None
    assert usage.end == 360


@given(st.lists(st.integers(-500, 1000)))
def test_what_is_outside_of_the_range_does_not_count(places):
    usage = of_minutes([minute(60 * at) for at in places], start=0, period_s=60, count=60)
    assert usage.requests == sum(0 <= at < 60 for at in places)


def test_series_of_cloudwatch_are_put_together():
    series = {
        "requests": {0.0: 10.0, 120.0: 30.0},
        "client_errors": {120.0: 1.0},
        "server_errors": {},
        "mean": {0.0: 2000.0, 120.0: 4000.0},
        "slowest": {0.0: 5000.0, 120.0: 9000.0},
    }
    usage = of_series(series, start=0, period_s=60, count=3)
    assert [each.requests for each in usage.periods] == [10, 0, 30]
    assert usage.mean_ms == 3.5 and usage.slowest_ms == 9.0
    assert usage.busy_seconds == 0.14
    assert usage.to_dict()["periods"][2]["client_errors"] == 1.0


def test_nothing_is_neither_fast_nor_slow():
    usage = of_minutes([], start=0, period_s=60, count=60)
    assert usage.mean_ms is None and usage.slowest_ms is None and usage.requests == 0
