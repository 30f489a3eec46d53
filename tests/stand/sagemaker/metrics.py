"""What SageMaker tells CloudWatch about invocations.

https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from tests.stand.wire import ACCOUNT, AwsFault

NAMESPACE = "AWS/SageMaker"


@contextmanager
def measured(region: str, endpoint: str, variant: str) -> Iterator[None]:
    """Count an invocation, its errors and its latency (microseconds, to the first byte)."""
    started = time.monotonic()
    errors = {"Invocation4XXErrors": 0, "Invocation5XXErrors": 0}
    try:
        yield
    except AwsFault as fault:
        status = fault.members.get("OriginalStatusCode", fault.status)
        errors[f"Invocation{'4' if 400 <= status < 500 else '5'}XXErrors"] = 1
        raise
    finally:
        latency = (time.monotonic() - started) * 1e6
        values = {"Invocations": 1, "InvocationsPerInstance": 1, "ModelLatency": latency, **errors}
        units = {"ModelLatency": "Microseconds"}
        dimensions = [
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": variant},
        ]
        data: list[dict[str, Any]] = [
            {
                "MetricName": name,
                "Dimensions": dimensions,
                "Value": value,
                "Unit": units.get(name, "None"),
            }
            for name, value in values.items()
        ]
        cloudwatch_backends[ACCOUNT][region].put_metric_data(NAMESPACE, data)
