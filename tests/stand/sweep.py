"""A test leaves nothing on the stand; what a failed one leaves is removed: it fails alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.parts.waiting import wait_for
from tests.stand.stand import Stand


@contextmanager
def nothing_left(stand: Stand) -> Iterator[None]:
    """What the block makes on the stand it also removes. Raises AssertionError if it does not."""
    before = stand.inventory()
    try:
        yield
    finally:
        stand.faults.clear()
        after = stand.inventory()
        left = {
            kind: sorted(set(names) - set(before.get(kind, []))) for kind, names in after.items()
        }
        _remove(stand, left)
    assert after == before


def _less(names: list[str], others: list[str]) -> list[str]:
    return sorted(set(names) - set(others))


def _remove(stand: Stand, left: dict[str, list[str]]) -> None:
    sagemaker = stand.client("sagemaker")
    for name in left.get("endpoints", []):
        _remove_endpoint(stand, name)
    for name in left.get("endpoint configurations", []):
        sagemaker.delete_endpoint_config(EndpointConfigName=name)
    for name in left.get("models", []):
        sagemaker.delete_model(ModelName=name)
    for item in left.get("objects", []):
        bucket, _, key = item.partition("/")
        stand.client("s3").delete_object(Bucket=bucket, Key=key)
    for name in left.get("buckets", []):
        stand.client("s3").delete_bucket(Bucket=name)
    for name in left.get("repositories", []):
        stand.client("ecr").delete_repository(repositoryName=name, force=True)
    for item in left.get("images", []):
        name, _, digest = item.partition("@")
        if name not in left.get("repositories", []):
            stand.client("ecr").batch_delete_image(
                repositoryName=name, imageIds=[{"imageDigest": digest}]
            )
    iam = stand.client("iam")
    for name in left.get("roles", []):
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)
    for name in left.get("scalable targets", []):
        stand.client("application-autoscaling").deregister_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=name,
            ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        )
    for name in left.get("log groups", []):
        stand.client("logs").delete_log_group(logGroupName=name)


def _remove_endpoint(stand: Stand, name: str) -> None:
    sagemaker = stand.client("sagemaker")

    def settled() -> bool:
        status = sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
        return status in ("InService", "Failed")

    wait_for(f"endpoint {name} to settle", settled, seconds=300)
    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig={"Delay": 1})
