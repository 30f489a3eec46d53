"""List the least permissions that a person or a CI job needs, by permission set.

`policy_documents` makes policies of them.

The actions follow from the calls that the modules of this room make (see their docstrings), and
from those that AWS makes in the caller's name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sageturner_magic.aws.account.evaluation import SERVICE
from sageturner_magic.aws.names import VARIANT, Names
from sageturner_magic.aws.secrets import secret_grants

PermissionSet = Literal[
    "setup", "plan", "deploy", "invoke", "logs", "list", "rollback", "delete", "teardown", "secret"
]
PERMISSION_SETS: tuple[PermissionSet, ...] = get_args(PermissionSet)
"""What can be allowed separately; `verbs.table` says which verb takes which."""


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
    """

    names: Names
    endpoint: str = "*"
    role_arn: str = ""
    kms_key: str = ""
    bucket_key: str = ""
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grant:
    """Some actions on some resources, for some permission sets."""

    sid: str
    sets: frozenset[PermissionSet]
    actions: tuple[str, ...]
    resources: Callable[[Scope], list[str]]
    condition: dict[str, Any] | None = None


def _any(scope: Scope) -> list[str]:
    return ["*"]


def _role(scope: Scope) -> list[str]:
    return [scope.role_arn or scope.names.role_arn]


def _policies(scope: Scope) -> list[str]:
    partition = scope.names.partition
    return [
        f"arn:{partition}:iam::aws:policy/*",
        f"arn:{partition}:iam::{scope.names.account}:policy/*",
    ]


def _bucket(scope: Scope) -> list[str]:
    return [scope.names.bucket_arn]


def _objects(scope: Scope) -> list[str]:
    return [f"{scope.names.bucket_arn}/*"]


def _repository(scope: Scope) -> list[str]:
    return [scope.names.arn("ecr", f"repository/{scope.names.repository}")]


def _endpoint(scope: Scope) -> list[str]:
    return [scope.names.arn("sagemaker", f"endpoint/{scope.endpoint}")]


def _versions(scope: Scope) -> list[str]:
    suffix = scope.endpoint if scope.endpoint == "*" else f"{scope.endpoint}-*"
    return [
        scope.names.arn("sagemaker", f"endpoint-config/{suffix}"),
        scope.names.arn("sagemaker", f"model/{suffix}"),
    ]


def _endpoint_and_versions(scope: Scope) -> list[str]:
    return _endpoint(scope) + _versions(scope)


def _serve(scope: Scope) -> list[str]:
    # CreateEndpoint and UpdateEndpoint are checked against the config, too.
    return _endpoint(scope) + _versions(scope)[:1]


def _log(scope: Scope) -> list[str]:
    group = f"log-group:/aws/sagemaker/Endpoints/{scope.endpoint}"
    every = [] if scope.endpoint == "*" else [scope.names.arn("logs", f"{group}:*")]
    return [scope.names.arn("logs", group), *every]


def _alarms(scope: Scope) -> list[str]:
    # The alarms of a target tracking policy, which Application Auto Scaling names.
    tracked = f"alarm:TargetTracking-endpoint/{scope.endpoint}/variant/{VARIANT}*"
    return [scope.names.arn("cloudwatch", tracked)]


def _scalable_targets(scope: Scope) -> list[str]:
    # AWS chooses the ids of targets.
    return [scope.names.arn("application-autoscaling", "scalable-target/*")]


def _secrets(scope: Scope) -> list[str]:
    return [each.arn for each in secret_grants(scope.secrets, scope.names) if not each.parameter]


def _parameters(scope: Scope) -> list[str]:
    return [each.arn for each in secret_grants(scope.secrets, scope.names) if each.parameter]


def _every_parameter(scope: Scope) -> list[str]:
    return ["*"] if _parameters(scope) else []  # ssm:DescribeParameters cannot be limited.


def _secrets_to_store(scope: Scope) -> list[str]:
    arns = _secrets(scope) if scope.secrets else [scope.names.arn("secretsmanager", "secret:*")]
    # Without a configuration any name may be meant. The ARN of a new secret ends in its name.
    return sorted({*arns, *(arn.removesuffix("-??????") for arn in arns)})


_EXISTING_SECRET = ("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue")
_SCALES_SAGEMAKER = {"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}}


def _scaling_role(scope: Scope) -> list[str]:
    roles = f"arn:{scope.names.partition}:iam::{scope.names.account}:role/aws-service-role"
    return [f"{roles}/sagemaker.application-autoscaling.amazonaws.com/*"]


def _on(*sets: PermissionSet) -> frozenset[PermissionSet]:
    return frozenset(sets)


GRANTS: tuple[Grant, ...] = (
    Grant(
        "SeeRole",
        _on("setup", "plan", "deploy", "teardown"),
        (
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
        ),
        _role,
    ),
    Grant(
        "SeePoliciesOfRole",
        _on("plan", "deploy"),
        ("iam:GetPolicy", "iam:GetPolicyVersion"),
        _policies,
    ),
    Grant(
        "MakeRole",
        _on("setup"),
        (
            "iam:CreateRole",
            "iam:DeleteRolePolicy",
            "iam:PutRolePermissionsBoundary",
            "iam:PutRolePolicy",
            "iam:TagRole",
            "iam:UpdateAssumeRolePolicy",
        ),
        _role,
    ),
    Grant(
        "PassRole",
        _on("deploy"),
        ("iam:PassRole",),
        _role,
        {"StringEquals": {"iam:PassedToService": SERVICE}},
    ),
    Grant(
        "DeleteRole",
        _on("teardown"),
        (
            "iam:DeleteRole",
            "iam:DeleteRolePolicy",
            "iam:DetachRolePolicy",
            "iam:PutRolePolicy",
        ),
        _role,
    ),
    Grant(
        "SeeBucket",
        _on("setup", "plan", "deploy", "list", "delete", "teardown"),
        ("s3:ListBucket",),
        _bucket,
    ),
    Grant(
        "MakeBucket",
        _on("setup"),
        (
            "s3:CreateBucket",
            "s3:GetBucketOwnershipControls",
            "s3:GetBucketPolicy",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketTagging",
            "s3:GetEncryptionConfiguration",
            "s3:GetLifecycleConfiguration",
            "s3:PutBucketOwnershipControls",
            "s3:PutBucketPolicy",
            "s3:PutBucketPublicAccessBlock",
            "s3:PutBucketTagging",
            "s3:PutEncryptionConfiguration",
            "s3:PutLifecycleConfiguration",
        ),
        _bucket,
    ),
    Grant("SeeArtefacts", _on("plan", "deploy"), ("s3:GetObject",), _objects),
    Grant(
        "UploadArtefacts",
        _on("deploy"),
        ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"),
        _objects,
    ),
    Grant(
        "SeeUploads",
        _on("deploy", "delete", "teardown"),
        ("s3:ListBucketMultipartUploads",),
        _bucket,
    ),
    Grant(
        "DeleteArtefacts",
        _on("delete", "teardown"),
        ("s3:AbortMultipartUpload", "s3:DeleteObject"),
        _objects,
    ),
    Grant("DeleteObjectVersions", _on("teardown"), ("s3:DeleteObjectVersion",), _objects),
    Grant(
        "DeleteBucket",
        _on("teardown"),
        ("s3:DeleteBucket", "s3:GetBucketTagging", "s3:ListBucketVersions"),
        _bucket,
    ),
    Grant(
        "SeeRepository",
        _on("setup", "plan", "deploy", "list", "delete", "teardown"),
        ("ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:ListTagsForResource"),
        _repository,
    ),
    Grant(
        "MakeRepository",
        _on("setup", "deploy"),
        (
            "ecr:CreateRepository",
            "ecr:GetLifecyclePolicy",
            "ecr:PutImageScanningConfiguration",
            "ecr:PutImageTagMutability",
            "ecr:PutLifecyclePolicy",
            "ecr:TagResource",
        ),
        _repository,
    ),
    Grant("SignInToRegistry", _on("deploy"), ("ecr:GetAuthorizationToken",), _any),
    Grant(
        "PushImages",
        _on("deploy"),
        (
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:CompleteLayerUpload",
            "ecr:GetDownloadUrlForLayer",
            "ecr:InitiateLayerUpload",
            "ecr:PutImage",
            "ecr:UploadLayerPart",
        ),
        _repository,
    ),
    Grant("DeleteImages", _on("delete"), ("ecr:BatchDeleteImage",), _repository),
    Grant("DeleteRepository", _on("teardown"), ("ecr:DeleteRepository",), _repository),
    Grant("ListEndpoints", _on("list", "delete", "teardown"), ("sagemaker:ListEndpoints",), _any),
    Grant(
        "ListVersions",
        _on("list", "rollback", "delete", "teardown"),
        ("sagemaker:ListEndpointConfigs", "sagemaker:ListModels"),
        _any,
    ),
    Grant(
        "SeeEndpoints",
        _on("plan", "deploy", "list", "rollback", "delete", "teardown"),
        (
            "sagemaker:DescribeEndpoint",
            "sagemaker:DescribeEndpointConfig",
            "sagemaker:DescribeModel",
            "sagemaker:ListTags",
        ),
        _endpoint_and_versions,
    ),
    Grant(
        "CreateVersions",
        _on("deploy"),
        ("sagemaker:CreateEndpointConfig", "sagemaker:CreateModel"),
        _versions,
    ),
    Grant("CreateEndpoint", _on("deploy"), ("sagemaker:CreateEndpoint",), _serve),
    Grant("UpdateEndpoint", _on("deploy", "rollback"), ("sagemaker:UpdateEndpoint",), _serve),
    Grant(
        "TagEndpoints", _on("deploy", "rollback"), ("sagemaker:AddTags",), _endpoint_and_versions
    ),
    # deploy replaces an endpoint that has failed.
    Grant("DeleteEndpoint", _on("deploy", "delete"), ("sagemaker:DeleteEndpoint",), _endpoint),
    Grant(
        "DeleteVersions",
        _on("delete"),
        ("sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel"),
        _versions,
    ),
    Grant(
        "Invoke",
        _on("invoke"),
        ("sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"),
        _endpoint,
    ),
    Grant(
        "ReadLogs",
        _on("deploy", "rollback", "invoke", "logs"),
        ("logs:DescribeLogStreams", "logs:GetLogEvents"),
        _log,
    ),
    Grant("TagLogs", _on("deploy", "rollback", "delete"), ("logs:TagResource",), _log),
    Grant("ListLogs", _on("teardown"), ("logs:DescribeLogGroups",), _any),
    Grant("DeleteLogs", _on("teardown"), ("logs:DeleteLogGroup", "logs:ListTagsForResource"), _log),
    Grant(
        "SeeAutoscaling",
        _on("deploy", "list", "rollback"),
        (
            "application-autoscaling:DescribeScalableTargets",
            "application-autoscaling:DescribeScalingPolicies",
        ),
        _any,
    ),
    Grant(
        "SetAutoscaling",
        _on("deploy"),
        (
            "application-autoscaling:PutScalingPolicy",
            "application-autoscaling:RegisterScalableTarget",
        ),
        _scalable_targets,
        _SCALES_SAGEMAKER,
    ),
    Grant(
        "RemoveAutoscaling",
        _on("deploy", "rollback", "delete"),
        ("application-autoscaling:DeregisterScalableTarget",),
        _scalable_targets,
        _SCALES_SAGEMAKER,
    ),
    # Application Auto Scaling does the following in the caller's name.
    Grant("Scale", _on("deploy"), ("sagemaker:UpdateEndpointWeightsAndCapacities",), _endpoint),
    Grant(
        "SetAlarms",
        _on("deploy"),
        ("cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"),
        _alarms,
    ),
    Grant(
        "DeleteAlarms", _on("deploy", "rollback", "delete"), ("cloudwatch:DeleteAlarms",), _alarms
    ),
    Grant(
        "MakeAutoscalingRole",
        _on("deploy"),
        ("iam:CreateServiceLinkedRole",),
        _scaling_role,
        {"StringLike": {"iam:AWSServiceName": "sagemaker.application-autoscaling.amazonaws.com"}},
    ),
    Grant("SeeSecrets", _on("plan", "deploy"), ("secretsmanager:DescribeSecret",), _secrets),
    Grant("SeeParameters", _on("plan", "deploy"), ("ssm:DescribeParameters",), _every_parameter),
    Grant(
        "StoreSecrets",
        _on("secret"),
        ("secretsmanager:CreateSecret", *_EXISTING_SECRET),
        _secrets_to_store,
    ),
    Grant("StoreParameters", _on("secret"), ("ssm:GetParameter", "ssm:PutParameter"), _parameters),
    Grant("SeeMetrics", _on("list"), ("cloudwatch:GetMetricData",), _any),
    Grant("SeePrices", _on("plan", "deploy", "list"), ("pricing:GetProducts",), _any),
    Grant("SeeQuotas", _on("plan", "deploy"), ("servicequotas:ListServiceQuotas",), _any),
)
