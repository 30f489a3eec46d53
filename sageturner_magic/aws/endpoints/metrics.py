"""Read the CloudWatch metrics of an endpoint's requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from sageturner_magic.aws.names import VARIANT
from sageturner_magic.aws.session import AwsSession

NAMESPACE = "AWS/SageMaker"
MINUTE = 60

QUERIES: Mapping[str, tuple[str, str]] = {
    "requests": ("Invocations", "Sum"),
    "client_errors": ("Invocation4XXErrors", "Sum"),
    "server_errors": ("Invocation5XXErrors", "Sum"),
    "mean": ("ModelLatency", "Average"),
    "slowest": ("ModelLatency", "Maximum"),
}
"""Our word -> CloudWatch's metric and statistic; ModelLatency is in microseconds.

https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""


def metric_period(seconds: float, points: int) -> int:
    """The finest period, in seconds, that CloudWatch still has for so long ago.

    It keeps minutes for 15 days, five minutes for 63 and hours for 455:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html
    """
    days = seconds / 86400
    step = MINUTE if days <= 15 else 5 * MINUTE if days <= 63 else 60 * MINUTE
    return max(step, -(-int(seconds) // points // step) * step)


def request_metrics(
    session: AwsSession, name: str, *, start: float, end: float, period: int
) -> dict[str, dict[float, float]]:
    """Of each of `QUERIES`: start of a period (seconds since 1970) -> value; none is left out.

    Permissions: cloudwatch:GetMetricData.

    Raises:
        AwsError: The call failed.
    """
    asked: list[Any] = [
        {
            "Id": key,
            "MetricStat": {
                "Metric": {
                    "Namespace": NAMESPACE,
                    "MetricName": metric,
                    "Dimensions": [
                        {"Name": "EndpointName", "Value": name},
                        {"Name": "VariantName", "Value": VARIANT},
                    ],
                },
                "Period": period,
                "Stat": statistic,
            },
        }
        for key, (metric, statistic) in QUERIES.items()
    ]
    found: dict[str, dict[float, float]] = {key: {} for key in QUERIES}
    with session.call("read the metrics", f"endpoint {name}"):
        pages = session.cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=asked,
            StartTime=datetime.fromtimestamp(start, timezone.utc),
            EndTime=datetime.fromtimestamp(end, timezone.utc),
            ScanBy="TimestampAscending",
        )
        for page in pages:
            for series in page["MetricDataResults"]:
                times = [when.timestamp() for when in series["Timestamps"]]
                found[series["Id"]].update(zip(times, series["Values"], strict=True))
    return found
