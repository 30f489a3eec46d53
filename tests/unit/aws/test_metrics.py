"""What CloudWatch is asked about an endpoint, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from botocore.stub import Stubber

from sageturner_magic.aws.endpoints import metrics
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.errors import AwsError

Stub = Callable[[object], Stubber]


def test_every_series_is_there_also_the_empty_ones(session: AwsSession, stub: Stub) -> None:
    at = datetime(2026, 11, 22, tzinfo=timezone.utc)
    stub(session.cloudwatch).add_response(
        "get_metric_data",
        {"MetricDataResults": [{"Id": "requests", "Timestamps": [at], "Values": [7.0]}]},
    )
    start = at.timestamp()
    found = metrics.request_metrics(session, "digits", start=start, end=start + 60, period=60)
    assert found["requests"] == {start: 7.0}
    assert set(found) == set(metrics.QUERIES) and found["mean"] == {}


def test_a_refusal_is_an_error_that_names_the_permission(session: AwsSession, stub: Stub) -> None:
    stub(session.cloudwatch).add_client_error(
        "get_metric_data",
        "AccessDenied",
        "User: arn:aws:iam::1:user/ann is not authorized to perform: cloudwatch:GetMetricData",
        http_status_code=403,
    )
    with pytest.raises(AwsError, match="cloudwatch:GetMetricData"):
        metrics.request_metrics(session, "digits", start=0, end=60, period=60)


@pytest.mark.parametrize(
    ("days", "step"), [(0.1, 60), (3, 60), (15, 60), (16, 300), (63, 300), (64, 3600), (455, 3600)]
)
def test_periods_are_those_that_cloudwatch_still_has(days: float, step: int) -> None:
    period = metrics.metric_period(days * 86400, 60)
    assert period % step == 0
    assert days * 86400 / period <= 60
