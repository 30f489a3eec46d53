"""List the least permissions that a person or a CI job needs, by permission set.

`policy_documents` makes policies of them.

The actions follow from the calls that the modules of this room make (see their docstrings), and
from those that AWS makes in the caller's name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sageturner_magic.aws.account import resources as on
from sageturner_magic.aws.account.evaluation import SERVICE
from sageturner_magic.aws.account.lease_role import SCHEDULER
from sageturner_magic.aws.account.resources import Scope

PermissionSet = Literal[
    "setup",
    "plan",
    "deploy",
    "invoke",
    "logs",
    "list",
    "rollback",
    "delete",
    "teardown",
    "secret",
    "lease",
]
PERMISSION_SETS: tuple[PermissionSet, ...] = get_args(PermissionSet)
"""What can be allowed separately; `verbs.table` says which verb takes which."""


@dataclass(frozen=True)
class Grant:
    """Some actions on some resources, for some permission sets."""

    sid: str
    sets: frozenset[PermissionSet]
    actions: tuple[str, ...]
    resources: Callable[[Scope], list[str]]
    condition: dict[str, Any] | None = None


_EXISTING_SECRET = ("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue")
_SCALES_SAGEMAKER = {"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}}


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
        on.role,
    ),
    Grant(
        "SeePoliciesOfRole",
        _on("plan", "deploy"),
        ("iam:GetPolicy", "iam:GetPolicyVersion"),
        on.policies,
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
        on.role,
    ),
    Grant(
        "PassRole",
        _on("deploy"),
        ("iam:PassRole",),
        on.role,
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
        on.role,
    ),
    Grant(
        "SeeBucket",
        _on("setup", "plan", "deploy", "list", "delete", "teardown"),
        ("s3:ListBucket",),
        on.bucket,
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
        on.bucket,
    ),
    Grant("SeeArtefacts", _on("plan", "deploy"), ("s3:GetObject",), on.objects),
    Grant(
        "UploadArtefacts",
        _on("deploy"),
        ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"),
        on.objects,
    ),
    Grant(
        "SeeUploads",
        _on("deploy", "delete", "teardown"),
        ("s3:ListBucketMultipartUploads",),
        on.bucket,
    ),
    Grant(
        "DeleteArtefacts",
        _on("delete", "teardown"),
        ("s3:AbortMultipartUpload", "s3:DeleteObject"),
        on.objects,
    ),
    Grant("DeleteObjectVersions", _on("teardown"), ("s3:DeleteObjectVersion",), on.objects),
    Grant(
        "DeleteBucket",
        _on("teardown"),
        ("s3:DeleteBucket", "s3:GetBucketTagging", "s3:ListBucketVersions"),
        on.bucket,
    ),
    Grant(
        "SeeRepository",
        _on("setup", "plan", "deploy", "list", "delete", "teardown"),
        ("ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:ListTagsForResource"),
        on.repository,
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
        on.repository,
    ),
    # The setting holds for a whole registry, so there is no ARN to name.
    Grant(
        "ShareLayers",
        _on("setup", "teardown"),
        ("ecr:GetAccountSetting", "ecr:PutAccountSetting"),
        on.anything,
    ),
    # Without Docker, a plan reads the base image and looks which layers are there.
    Grant("SignInToRegistry", _on("plan", "deploy"), ("ecr:GetAuthorizationToken",), on.anything),
    Grant("SeeLayers", _on("plan"), ("ecr:BatchCheckLayerAvailability",), on.repository),
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
        on.repository,
    ),
    Grant(
        "PullBaseImage",
        _on("plan", "deploy"),
        ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
        on.base_repository,
    ),
    Grant("DeleteImages", _on("delete"), ("ecr:BatchDeleteImage",), on.repository),
    Grant("DeleteRepository", _on("teardown"), ("ecr:DeleteRepository",), on.repository),
    Grant(
        "ListEndpoints",
        _on("list", "delete", "teardown"),
        ("sagemaker:ListEndpoints",),
        on.anything,
    ),
    Grant(
        "ListVersions",
        _on("list", "rollback", "delete", "teardown"),
        ("sagemaker:ListEndpointConfigs", "sagemaker:ListModels"),
        on.anything,
    ),
    Grant(
        "SeeEndpoints",
        _on("plan", "deploy", "list", "rollback", "delete", "teardown", "lease"),
        (
            "sagemaker:DescribeEndpoint",
            "sagemaker:DescribeEndpointConfig",
            "sagemaker:DescribeModel",
            "sagemaker:ListTags",
        ),
        on.endpoint_and_versions,
    ),
    Grant(
        "CreateVersions",
        _on("deploy"),
        ("sagemaker:CreateEndpointConfig", "sagemaker:CreateModel"),
        on.versions,
    ),
    Grant("CreateEndpoint", _on("deploy"), ("sagemaker:CreateEndpoint",), on.serve),
    Grant("UpdateEndpoint", _on("deploy", "rollback"), ("sagemaker:UpdateEndpoint",), on.serve),
    Grant(
        "TagEndpoints",
        _on("deploy", "rollback", "lease"),
        ("sagemaker:AddTags",),
        on.endpoint_and_versions,
    ),
    # deploy replaces an endpoint that has failed.
    Grant("DeleteEndpoint", _on("deploy", "delete"), ("sagemaker:DeleteEndpoint",), on.endpoint),
    Grant(
        "DeleteVersions",
        _on("delete"),
        ("sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel"),
        on.versions,
    ),
    Grant(
        "Invoke",
        _on("invoke"),
        ("sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"),
        on.endpoint,
    ),
    Grant(
        "ReadLogs",
        _on("deploy", "rollback", "invoke", "logs"),
        ("logs:DescribeLogStreams", "logs:GetLogEvents"),
        on.log,
    ),
    Grant("TagLogs", _on("deploy", "rollback", "delete"), ("logs:TagResource",), on.log),
    Grant("ListLogs", _on("teardown"), ("logs:DescribeLogGroups",), on.anything),
    Grant(
        "DeleteLogs", _on("teardown"), ("logs:DeleteLogGroup", "logs:ListTagsForResource"), on.log
    ),
    Grant(
        "SeeAutoscaling",
        _on("deploy", "list", "rollback"),
        (
            "application-autoscaling:DescribeScalableTargets",
            "application-autoscaling:DescribeScalingPolicies",
        ),
        on.anything,
    ),
    Grant(
        "SetAutoscaling",
        _on("deploy"),
        (
            "application-autoscaling:PutScalingPolicy",
            "application-autoscaling:RegisterScalableTarget",
        ),
        on.scalable_targets,
        _SCALES_SAGEMAKER,
    ),
    Grant(
        "RemoveAutoscaling",
        _on("deploy", "rollback", "delete"),
        ("application-autoscaling:DeregisterScalableTarget",),
        on.scalable_targets,
        _SCALES_SAGEMAKER,
    ),
    # Application Auto Scaling does the following in the caller's name.
    Grant("Scale", _on("deploy"), ("sagemaker:UpdateEndpointWeightsAndCapacities",), on.endpoint),
    Grant(
        "SetAlarms",
        _on("deploy"),
        ("cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"),
        on.alarms,
    ),
    Grant(
        "DeleteAlarms", _on("deploy", "rollback", "delete"), ("cloudwatch:DeleteAlarms",), on.alarms
    ),
    Grant(
        "MakeAutoscalingRole",
        _on("deploy"),
        ("iam:CreateServiceLinkedRole",),
        on.scaling_role,
        {"StringLike": {"iam:AWSServiceName": "sagemaker.application-autoscaling.amazonaws.com"}},
    ),
    Grant(
        "SeeSecrets", _on("setup", "plan", "deploy"), ("secretsmanager:DescribeSecret",), on.secrets
    ),
    Grant(
        "SeeParameters",
        _on("setup", "plan", "deploy"),
        ("ssm:DescribeParameters",),
        on.every_parameter,
    ),
    Grant(
        "StoreSecrets",
        _on("secret"),
        ("secretsmanager:CreateSecret", *_EXISTING_SECRET),
        on.secrets_to_store,
    ),
    Grant(
        "StoreParameters", _on("secret"), ("ssm:GetParameter", "ssm:PutParameter"), on.parameters
    ),
    Grant("SeeLeaseRole", _on("setup", "plan", "deploy", "lease"), ("iam:GetRole",), on.lease_role),
    # Another configuration may have made it.
    Grant("FindLeaseRole", _on("teardown"), ("iam:GetRole",), on.any_lease_role),
    Grant(
        "MakeLeaseRole",
        _on("setup"),
        (
            "iam:CreateRole",
            "iam:GetRolePolicy",
            "iam:PutRolePolicy",
            "iam:TagRole",
            "iam:UpdateAssumeRolePolicy",
        ),
        on.lease_role,
    ),
    Grant(
        "DeleteLeaseRole",
        _on("teardown"),
        ("iam:DeleteRole", "iam:DeleteRolePolicy"),
        on.lease_role,
    ),
    Grant(
        "PassLeaseRole",
        _on("plan", "deploy", "invoke", "lease"),
        ("iam:PassRole",),
        on.lease_role,
        {"StringEquals": {"iam:PassedToService": SCHEDULER}},
    ),
    Grant("CheckLeases", _on("plan"), ("scheduler:CreateSchedule",), on.schedules),
    Grant(
        "SetLeases",
        _on("deploy", "lease"),
        ("scheduler:CreateSchedule", "scheduler:GetSchedule", "scheduler:UpdateSchedule"),
        on.schedules,
    ),
    # Use moves the end of a lease.
    Grant("SeeTagOfLease", _on("invoke"), ("sagemaker:ListTags",), on.leased),
    Grant(
        "MoveLeases",
        _on("invoke"),
        ("scheduler:GetSchedule", "scheduler:UpdateSchedule"),
        on.schedules,
    ),
    Grant("SeeLeases", _on("list"), ("scheduler:GetSchedule",), on.schedules),
    Grant(
        "EndLeases", _on("deploy", "delete", "lease"), ("scheduler:DeleteSchedule",), on.schedules
    ),
    Grant("UnmarkLeases", _on("deploy", "lease"), ("sagemaker:DeleteTags",), on.leased),
    Grant("SeeMetrics", _on("list"), ("cloudwatch:GetMetricData",), on.anything),
    Grant("SeePrices", _on("plan", "deploy", "list"), ("pricing:GetProducts",), on.anything),
    Grant("SeeQuotas", _on("plan", "deploy"), ("servicequotas:ListServiceQuotas",), on.anything),
)
