"""Scale the instances of an endpoint by load, with application-autoscaling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sageturner_magic.aws.errors import unless
from sageturner_magic.aws.names import VARIANT
from sageturner_magic.aws.session import AwsSession

if TYPE_CHECKING:
    from sageturner_magic.config import Autoscaling

POLICY = "sageturner-invocations"
_DIMENSION: Final = "sagemaker:variant:DesiredInstanceCount"
_METRIC: Final = "SageMakerVariantInvocationsPerInstance"
_NONE = r"^ObjectNotFoundException|no scalable target found"


def describe(session: AwsSession, name: str) -> Autoscaling | None:
    """How the endpoint scales; None where it does not.

    Permissions: application-autoscaling:DescribeScalableTargets,
    application-autoscaling:DescribeScalingPolicies. Raises AwsError.
    """
    targets, policies = _read(session, name)
    if not targets:
        return None
    goals = [
        policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
        for policy in policies
        if "TargetTrackingScalingPolicyConfiguration" in policy
    ]
    found: dict[str, Any] = {
        "min": targets[0]["MinCapacity"],
        "max": targets[0]["MaxCapacity"],
        "invocations_per_instance": goals[0] if goals else 0,
    }
    # Set by hand on AWS, these may be outside the configuration's limits.
    from sageturner_magic.config import Autoscaling

    return Autoscaling.model_construct(**found)


def _read(session: AwsSession, name: str) -> tuple[list[Any], list[Any]]:
    """The scalable targets of an endpoint's name and their policies, as AWS has them."""
    with session.call("read the autoscaling", f"endpoint {name}"):
        targets: list[Any] = session.autoscaling.describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[_resource(name)]
        )["ScalableTargets"]
        if not targets:
            return [], []
        policies: list[Any] = session.autoscaling.describe_scaling_policies(
            ServiceNamespace="sagemaker", ResourceId=_resource(name), ScalableDimension=_DIMENSION
        )["ScalingPolicies"]
    return targets, policies


def ensure_autoscaling(session: AwsSession, name: str, wanted: Autoscaling | None) -> str:
    """Let the endpoint (InService) scale as `wanted`; None takes autoscaling off.

    Permissions: application-autoscaling:RegisterScalableTarget,
    application-autoscaling:PutScalingPolicy, iam:CreateServiceLinkedRole (the first time in an
    account); those of `describe` and `remove`.

    Returns:
        What was changed, for people; empty if nothing was.
    """
    present = describe(session, name)
    if present == wanted:
        return ""
    if wanted is None:
        remove(session, name)
        return "took autoscaling off"
    with session.call("set up autoscaling", "compute.server.autoscaling"):
        session.autoscaling.register_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=_resource(name),
            ScalableDimension=_DIMENSION,
            MinCapacity=wanted.min,
            MaxCapacity=wanted.max,
        )
        session.autoscaling.put_scaling_policy(
            PolicyName=POLICY,
            ServiceNamespace="sagemaker",
            ResourceId=_resource(name),
            ScalableDimension=_DIMENSION,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": wanted.invocations_per_instance,
                "PredefinedMetricSpecification": {"PredefinedMetricType": _METRIC},
            },
        )
    return (
        f"scales from {wanted.min} to {wanted.max} instances, at "
        f"{wanted.invocations_per_instance:g} invocations a minute on each"
    )


def left_autoscaling(session: AwsSession, name: str) -> tuple[str, ...]:
    """The scalable target and the alarms of an endpoint's name, a line each.

    They outlive an endpoint that something else than `delete` ends.

    Permissions: application-autoscaling:DescribeScalableTargets,
    application-autoscaling:DescribeScalingPolicies. Raises AwsError.
    """
    targets, policies = _read(session, name)
    alarms = [alarm["AlarmName"] for policy in policies for alarm in policy.get("Alarms", ())]
    return (
        *(f"scalable target {target['ResourceId']}" for target in targets),
        *(f"alarm {alarm}" for alarm in alarms),
    )


def remove(session: AwsSession, name: str) -> None:
    """Take autoscaling off, with its policies. Nothing where there is none.

    Permissions: application-autoscaling:DeregisterScalableTarget. Raises AwsError.
    """
    with session.call("take autoscaling off", f"endpoint {name}"):
        unless(
            _NONE,
            lambda: session.autoscaling.deregister_scalable_target(
                ServiceNamespace="sagemaker",
                ResourceId=_resource(name),
                ScalableDimension=_DIMENSION,
            ),
        )


def _resource(name: str) -> str:
    return f"endpoint/{name}/variant/{VARIANT}"
