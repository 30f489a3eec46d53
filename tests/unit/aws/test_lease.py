"""What of a lease and of its end can be told without AWS."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from sageturner_magic.aws.endpoints.autoscaling import left_autoscaling

RESOURCE = "endpoint/digits/variant/AllTraffic"


def test_alarms_are_left_with_a_scaling_policy(session: Any, stub: Any) -> None:
    known = {"ServiceNamespace": "sagemaker", "ResourceId": RESOURCE}
    dimension = {"ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
    now = datetime.now(timezone.utc)
    policy = {
        **known,
        **dimension,
        "PolicyARN": "arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:1",
        "PolicyName": "sageturner-invocations",
        "PolicyType": "TargetTrackingScaling",
        "CreationTime": now,
        "Alarms": [{"AlarmName": f"TargetTracking-{RESOURCE}-High", "AlarmARN": "arn:aws:1"}],
    }
    target = {
        **known,
        **dimension,
        "MinCapacity": 1,
        "MaxCapacity": 2,
        "RoleARN": "arn:aws:iam::123456789012:role/scales",
        "CreationTime": now,
    }
    answers = stub(session.autoscaling)
    answers.add_response("describe_scalable_targets", {"ScalableTargets": [target]})
    answers.add_response("describe_scaling_policies", {"ScalingPolicies": [policy]})
    assert left_autoscaling(session, "digits") == (
        f"scalable target {RESOURCE}",
        f"alarm TargetTracking-{RESOURCE}-High",
    )
