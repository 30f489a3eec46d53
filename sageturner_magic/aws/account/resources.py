"""Name the resources that permissions are given on, for a configuration."""

from __future__ import annotations

from dataclasses import dataclass

from sageturner_magic.aws.names import VARIANT, Names, schedule_name
from sageturner_magic.aws.secrets import secret_grants


@dataclass(frozen=True)
class Scope:
    """What a policy is for.

    Attributes:
        names: Account, region, bucket, role and repository.
        endpoint: The one endpoint that may be touched; `*` for all.
        role_arn: Of the role that endpoints run with, where it is not the one that setup creates.
        kms_key: The configuration's, which encrypts the disks of instances.
        bucket_key: The KMS key that encrypts the bucket.
        secrets: The references of the configuration's `secrets`.
        leases: Endpoints may have a lease.
        secret_keys: ARNs of the KMS keys of one's own that encrypt these secrets.
        base: ARN of the ECR repository that has the base image; empty where it is elsewhere.
    """

    names: Names
    endpoint: str = "*"
    role_arn: str = ""
    kms_key: str = ""
    bucket_key: str = ""
    secrets: tuple[str, ...] = ()
    secret_keys: tuple[str, ...] = ()
    base: str = ""
    leases: bool = False


def anything(scope: Scope) -> list[str]:
    return ["*"]


def role(scope: Scope) -> list[str]:
    return [scope.role_arn or scope.names.role_arn]


def any_lease_role(scope: Scope) -> list[str]:
    return [scope.names.lease_role_arn]


def lease_role(scope: Scope) -> list[str]:
    return any_lease_role(scope) if scope.leases else []


def schedules(scope: Scope) -> list[str]:
    name = f"schedule/default/{schedule_name(scope.endpoint)}"
    return [scope.names.arn("scheduler", name)] if scope.leases else []


def leased(scope: Scope) -> list[str]:
    return endpoint(scope) if scope.leases else []


def policies(scope: Scope) -> list[str]:
    partition = scope.names.partition
    return [
        f"arn:{partition}:iam::aws:policy/*",
        f"arn:{partition}:iam::{scope.names.account}:policy/*",
    ]


def bucket(scope: Scope) -> list[str]:
    return [scope.names.bucket_arn]


def objects(scope: Scope) -> list[str]:
    return [f"{scope.names.bucket_arn}/*"]


def repository(scope: Scope) -> list[str]:
    return [scope.names.arn("ecr", f"repository/{scope.names.repository}")]


def base_repository(scope: Scope) -> list[str]:
    return [scope.base] if scope.base else []


def endpoint(scope: Scope) -> list[str]:
    return [scope.names.arn("sagemaker", f"endpoint/{scope.endpoint}")]


def versions(scope: Scope) -> list[str]:
    suffix = scope.endpoint if scope.endpoint == "*" else f"{scope.endpoint}-*"
    return [
        scope.names.arn("sagemaker", f"endpoint-config/{suffix}"),
        scope.names.arn("sagemaker", f"model/{suffix}"),
    ]


def endpoint_and_versions(scope: Scope) -> list[str]:
    return endpoint(scope) + versions(scope)


def serve(scope: Scope) -> list[str]:
    # CreateEndpoint and UpdateEndpoint are checked against the config, too.
    return endpoint(scope) + versions(scope)[:1]


def log(scope: Scope) -> list[str]:
    group = f"log-group:/aws/sagemaker/Endpoints/{scope.endpoint}"
    every = [] if scope.endpoint == "*" else [scope.names.arn("logs", f"{group}:*")]
    return [scope.names.arn("logs", group), *every]


def alarms(scope: Scope) -> list[str]:
    # The alarms of a target tracking policy, which Application Auto Scaling names.
    tracked = f"alarm:TargetTracking-endpoint/{scope.endpoint}/variant/{VARIANT}*"
    return [scope.names.arn("cloudwatch", tracked)]


def scalable_targets(scope: Scope) -> list[str]:
    # AWS chooses the ids of targets.
    return [scope.names.arn("application-autoscaling", "scalable-target/*")]


def secrets(scope: Scope) -> list[str]:
    return [each.arn for each in secret_grants(scope.secrets, scope.names) if not each.parameter]


def parameters(scope: Scope) -> list[str]:
    return [each.arn for each in secret_grants(scope.secrets, scope.names) if each.parameter]


def every_parameter(scope: Scope) -> list[str]:
    return ["*"] if parameters(scope) else []  # ssm:DescribeParameters cannot be limited.


def secrets_to_store(scope: Scope) -> list[str]:
    arns = secrets(scope) if scope.secrets else [scope.names.arn("secretsmanager", "secret:*")]
    # Without a configuration any name may be meant. The ARN of a new secret ends in its name.
    return sorted({*arns, *(arn.removesuffix("-??????") for arn in arns)})


def scaling_role(scope: Scope) -> list[str]:
    roles = f"arn:{scope.names.partition}:iam::{scope.names.account}:role/aws-service-role"
    return [f"{roles}/sagemaker.application-autoscaling.amazonaws.com/*"]
