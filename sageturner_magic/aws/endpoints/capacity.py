"""Set how many instances an endpoint runs."""

from __future__ import annotations

from sageturner_magic.aws.endpoints.endpoint import read_endpoint
from sageturner_magic.aws.names import VARIANT
from sageturner_magic.aws.session import AwsSession


def set_instances(session: AwsSession, name: str, count: int) -> str:
    """Have an endpoint (InService) run `count` instances.

    Taking autoscaling off leaves as many as it had started. Returns when SageMaker has taken the
    order; `watch` follows it.

    Permissions: sagemaker:DescribeEndpoint, sagemaker:UpdateEndpointWeightsAndCapacities.
    Raises AwsError.

    Returns:
        What is changed, for people; empty where as many run already.
    """
    with session.call("set the number of instances", f"endpoint {name}"):
        endpoint = read_endpoint(session, name)
        wanted = endpoint.instances[1]
        if not endpoint.variants or wanted == count:
            return ""
        session.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[{"VariantName": VARIANT, "DesiredInstanceCount": count}],
        )
    return f"set the instances from {wanted} to {count}"
