"""One endpoint at a glance."""

from types import SimpleNamespace

import pytest

from sageturner_magic.endpoints.kind import EndpointDescription, Price
from sageturner_magic.endpoints.measured import dashboard
from sageturner_magic.endpoints.measured.dashboard import Dashboard, cost_so_far
from sageturner_magic.endpoints.usage import Period, Usage
from sageturner_magic.errors import Finding
from sageturner_magic.rendering.dashboards import dashboard_text, time_range

HOUR = 3600.0


def shown(price, usage=None, kind="server", per_hour=0.23, notes=(), worked_s=None):
    endpoint = EndpointDescription("digits", kind, "InService", "abc", 0.0, "", "", per_hour)
    return Dashboard(endpoint, usage, price, 10 * HOUR, notes, worked_s)


def usage(*periods):
    return Usage(0.0, 60.0, periods)


def test_instances_have_cost_since_they_were_made():
    seen = shown(Price(0.23, 0.0))
    assert cost_so_far(seen) == pytest.approx(2.3)
    assert "$0.230 an hour ($5.52 a day); about $2.30 so far" in dashboard_text(seen)


def test_serverless_has_cost_for_the_seconds_that_it_worked():
    lately = usage(Period(requests=10, mean_ms=500.0, slowest_ms=600.0))
    seen = shown(Price(0.0, 0.0001), lately, "serverless", 0.0, worked_s=500.0)
    assert cost_so_far(seen) == pytest.approx(0.05)
    assert "billed by use, $0.00010 a second; about $0.05 so far" in dashboard_text(seen)
    both = shown(Price(0.05, 0.0001), lately, "serverless", 0.05, worked_s=500.0)
    assert cost_so_far(both) == pytest.approx(0.55)
    assert "$0.050 an hour ($1.20 a day) + billed by use" in dashboard_text(both)


def test_what_is_not_known_is_not_guessed():
    assert cost_so_far(shown(Price(None, 0.0))) is None
    assert "Cost         unknown" in dashboard_text(shown(Price(None, 0.0), per_hour=None))
    unseen = shown(Price(0.0, 0.0001), kind="serverless", per_hour=0.0)
    assert cost_so_far(unseen) is None and "cost so far unknown" in dashboard_text(unseen)
    unpriced = shown(Price(0.0, None), kind="serverless", per_hour=0.0)
    assert "billed by use, at an unknown price" in dashboard_text(unpriced)


def test_requests_errors_and_latency_are_plotted_and_said():
    seen = shown(
        Price(0.0, 0.0),
        usage(
            Period(requests=4, client_errors=1, mean_ms=2.0, slowest_ms=3.0),
            Period(),
            Period(requests=8, server_errors=2, mean_ms=5.0, slowest_ms=11.0),
        ),
        "local",
        0.0,
    )
    lines = dashboard_text(seen).splitlines()
    assert any("Invocations  ▄ █  12" in line for line in lines)
    assert any("3 (1 with 4xx, 2 with 5xx)" in line for line in lines)
    assert any("mean 4.00 ms, slowest 11.0 ms" in line for line in lines)
    assert any("free" in line for line in lines)


def test_without_metrics_it_says_why():
    note = Finding("The metrics cannot be read", why="cloudwatch:GetMetricData", severity="note")
    assert "note: The metrics cannot be read: cloudwatch:GetMetricData." in dashboard_text(
        shown(Price(0.0, 0.0), notes=(note,))
    )


def test_the_time_range_names_the_day_once_where_it_is_one():
    short = Usage(0.0, 60.0, (Period(),) * 3)
    assert time_range(short).count("-") == 2
    assert time_range(short).endswith(", 1 min a bar")
    assert time_range(Usage(0.0, 3600.0, (Period(),) * 48)).count("-") == 4


@pytest.mark.parametrize(("age_s", "hours"), [(218.0, 218 / 3600 + 1 / 60), (9 * HOUR, 3.0)])
def test_the_plots_begin_where_the_endpoint_did_if_that_is_later(monkeypatch, age_s, hours):
    asked = []
    endpoint = EndpointDescription("digits", "local", "InService", "abc", 0.0, "", "", 0.0)
    here = SimpleNamespace(
        describe=lambda: endpoint,
        price=lambda: Price(0.0, 0.0),
        usage=lambda hours: asked.append(hours) or usage(),
    )
    monkeypatch.setattr(dashboard.Endpoint, "at", lambda name, aws: here)
    monkeypatch.setattr(dashboard.time, "time", lambda: age_s)
    dashboard.read_dashboard("digits")
    assert asked == [pytest.approx(hours)]
