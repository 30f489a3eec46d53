"""Which IAM actions on which resources a call needs.

From the service authorization reference
(https://docs.aws.amazon.com/service-authorization/latest/reference/), for the services that a
deployment uses. Any other call needs `prefix:Operation` on `*`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from moto.secretsmanager.models import secretsmanager_backends

from tests.stand.policies import Context
from tests.stand.wire import ACCOUNT, Call

PREFIXES = {
    "resourcegroupstaggingapi": "tag",
    "sagemaker-runtime": "sagemaker",
    "service-quotas": "servicequotas",
}

S3_ACTIONS = {
    "AbortMultipartUpload": "AbortMultipartUpload",
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
"""S3 operations whose action has another name."""


@dataclass(frozen=True)
class Need:
    """An action on a resource, with what conditions may ask about it."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


def needs(call: Call) -> list[Need]:
    """Everything that the caller has to be allowed for this call to be carried out."""
    found = _BY_SERVICE.get(call.service, _other)(call)
    common = {"aws:RequestedRegion": call.region, **_request_tags(call.params)}
    return [Need(need.action, need.resource, {**common, **need.context}) for need in found]


def sagemaker_arn(region: str, kind: str, name: str) -> str:
    """SageMaker's ARNs hold the name in lower case."""
    return f"arn:aws:sagemaker:{region}:{ACCOUNT}:{kind}/{name.lower()}"


def repository_arn(region: str, name: str) -> str:
    return f"arn:aws:ecr:{region}:{ACCOUNT}:repository/{name}"


def key_need(action: str, key: str, region: str) -> Need:
    """A permission on a KMS key that is given by its id, its ARN or an alias."""
    whole = key if key.startswith("arn:") else f"arn:aws:kms:{region}:{ACCOUNT}:{key}"
    place, _, name = whole.rpartition(":")
    if name.startswith("alias/"):
        key_of_alias = f"{place}:key/5e1f{hashlib.sha256(name.encode()).hexdigest()[:20]}"
        return Need(f"kms:{action}", key_of_alias, {"kms:ResourceAliases": [name]})
    return Need(f"kms:{action}", f"{place}:key/{name.removeprefix('key/')}")


def network_needs(vpc: Mapping[str, Any], region: str) -> list[Need]:
    """What an execution role needs to place a model in a VPC.

    https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html (CreateModel, with a VPC)
    """
    interface = f"arn:aws:ec2:{region}:{ACCOUNT}:network-interface/eni-0f1e2d3c"
    places = [f"arn:aws:ec2:{region}:{ACCOUNT}:subnet/{each}" for each in vpc["Subnets"]]
    places += [
        f"arn:aws:ec2:{region}:{ACCOUNT}:security-group/{each}" for each in vpc["SecurityGroupIds"]
    ]
    on_interface = ("CreateNetworkInterface", "CreateNetworkInterfacePermission")
    on_interface += ("DeleteNetworkInterface", "DeleteNetworkInterfacePermission")
    seen = ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")
    return [
        *(Need(f"ec2:Describe{each}", "*") for each in seen),
        *(Need("ec2:CreateNetworkInterface", place) for place in places),
        *(Need(f"ec2:{each}", interface) for each in on_interface),
    ]


def _request_tags(params: Mapping[str, Any]) -> dict[str, str | list[str]]:
    tags = params.get("Tags") or params.get("tags")
    if isinstance(tags, list):
        pairs = {tag.get("Key"): tag.get("Value", "") for tag in tags}
    else:
        # The query protocol: Tags.member.1.Key=…
        keys = [key for key in params if re.fullmatch(r"Tags\.member\.\d+\.Key", key)]
        pairs = {params[key]: params.get(key[:-3] + "Value", "") for key in keys}
    if not pairs:
        return {}
    return {f"aws:RequestTag/{key}": value for key, value in pairs.items()} | {
        "aws:TagKeys": list(pairs)
    }


def _other(call: Call) -> list[Need]:
    prefix = PREFIXES.get(call.service, call.service)
    return [Need(f"{prefix}:{call.operation}", "*")]


def _sts(call: Call) -> list[Need]:
    # AssumeRole is decided together with the role's trust policy, GetCallerIdentity is free.
    return []


def _iam(call: Call) -> list[Need]:
    params = call.params
    resource = "*"
    if name := params.get("RoleName"):
        resource = f"arn:aws:iam::{ACCOUNT}:role{params.get('Path', '/')}{name}"
    elif name := params.get("UserName"):
        resource = f"arn:aws:iam::{ACCOUNT}:user{params.get('Path', '/')}{name}"
    elif arn := params.get("PolicyArn"):
        resource = arn
    boundary = params.get("PermissionsBoundary")
    context = {"iam:PermissionsBoundary": boundary} if boundary else {}
    found = [Need(f"iam:{call.operation}", resource, context)]
    if call.operation == "CreateRole" and any(key.startswith("Tags.") for key in params):
        found.append(Need("iam:TagRole", resource))
    return found


def _s3(call: Call) -> list[Need]:
    bucket, key = call.params.get("Bucket", ""), call.params.get("Key", "")
    resource = f"arn:aws:s3:::{bucket}" if bucket else "*"
    headers, query = call.request.headers, call.request.args
    context: dict[str, str | list[str]] = {}
    if call.operation == "DeleteObjects":
        keys = re.findall(rb"<Key>(.*?)</Key>", call.request.get_data())
        return [Need("s3:DeleteObject", f"{resource}/{item.decode()}") for item in keys]
    action = S3_ACTIONS.get(call.operation, call.operation)
    if action == "ListBucket":
        context["s3:prefix"] = query.get("prefix", "")
    if key:
        resource += f"/{key}"
    if query.get("versionId"):
        action = {"GetObject": "GetObjectVersion", "DeleteObject": "DeleteObjectVersion"}.get(
            action, action
        )
    found = [Need(f"s3:{action}", resource, context)]
    if source := headers.get("x-amz-copy-source"):
        found.append(Need("s3:GetObject", f"arn:aws:s3:::{unquote(source).lstrip('/')}"))
    if action == "PutObject" and headers.get("x-amz-tagging"):
        found.append(Need("s3:PutObjectTagging", resource))
    if call.operation == "CreateBucket":
        if headers.get("x-amz-object-ownership"):
            found.append(Need("s3:PutBucketOwnershipControls", resource))
        if b"<Tags>" in call.request.get_data():
            found.append(Need("s3:TagResource", resource))
    return found


def _ecr(call: Call) -> list[Need]:
    params, action = call.params, f"ecr:{call.operation}"
    if "resourceArn" in params:
        return [Need(action, params["resourceArn"])]
    if call.operation == "DescribeRepositories":
        names = params.get("repositoryNames") or ["*"]
        return [Need(action, repository_arn(call.region, name)) for name in names]
    if "repositoryName" not in params:
        return [Need(action, "*")]
    resource = repository_arn(call.region, params["repositoryName"])
    found = [Need(action, resource)]
    if call.operation == "CreateRepository" and params.get("tags"):
        found.append(Need("ecr:TagResource", resource))
    return found


def _logs(call: Call) -> list[Need]:
    action = f"logs:{call.operation}"
    if "resourceArn" in call.params:
        return [Need(action, call.params["resourceArn"])]
    group = call.params.get("logGroupName") or call.params.get("logGroupNamePrefix", "")
    stream = call.params.get("logStreamName", "")
    base = f"arn:aws:logs:{call.region}:{ACCOUNT}:log-group:{group}"
    return [Need(action, f"{base}:log-stream:{stream}")]


def _sagemaker(call: Call) -> list[Need]:
    params, action = call.params, f"sagemaker:{call.operation}"
    if "ResourceArn" in params:
        return [Need(action, params["ResourceArn"])]
    # An endpoint comes first: creating and updating one is about its configuration as well.
    kinds = {
        "EndpointName": "endpoint",
        "EndpointConfigName": "endpoint-config",
        "ModelName": "model",
    }
    resources = [
        sagemaker_arn(call.region, kind, str(params[name]))
        for name, kind in kinds.items()
        if name in params
    ]
    if call.operation.startswith("List") or not resources:
        return [Need(action, "*")]
    found = [Need(action, resource) for resource in resources]
    if call.operation.startswith("Create") and params.get("Tags"):
        found.append(Need("sagemaker:AddTags", resources[0]))
    if key := params.get("KmsKeyId"):
        found.append(key_need("DescribeKey", key, call.region))
    if role := params.get("ExecutionRoleArn"):
        found.append(Need("iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com"}))
    return found


def _runtime(call: Call) -> list[Need]:
    resource = sagemaker_arn(call.region, "endpoint", call.params["EndpointName"])
    return [Need(f"sagemaker:{call.operation}", resource)]


def _scaling(call: Call) -> list[Need]:
    """Application Auto Scaling acts on the endpoint and its alarms in the caller's name.

    https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_id-based-policy-examples.html
    """
    resource = str(call.params.get("ResourceId", ""))
    about = "*"
    if not call.operation.startswith("Describe"):
        # AWS chooses the ids of targets, so a policy cannot know them.
        chosen = hashlib.sha256(resource.encode()).hexdigest()[:28]
        about = (
            f"arn:aws:application-autoscaling:{call.region}:{ACCOUNT}:scalable-target/0ec5{chosen}"
        )
    namespace = {"application-autoscaling:service-namespace": call.params["ServiceNamespace"]}
    found = [Need(f"application-autoscaling:{call.operation}", about, namespace)]
    alarms = (
        f"arn:aws:cloudwatch:{call.region}:{ACCOUNT}:alarm:TargetTracking-{resource}-AlarmHigh-0f1e"
    )
    match call.operation:
        case "RegisterScalableTarget":
            endpoint = sagemaker_arn(call.region, "endpoint", resource.split("/")[1])
            found += [
                Need("sagemaker:DescribeEndpoint", endpoint),
                Need("sagemaker:UpdateEndpointWeightsAndCapacities", endpoint),
            ]
        case "PutScalingPolicy":
            found += [
                Need("cloudwatch:DescribeAlarms", alarms),
                Need("cloudwatch:PutMetricAlarm", alarms),
            ]
        case "DeleteScalingPolicy" | "DeregisterScalableTarget":
            found.append(Need("cloudwatch:DeleteAlarms", alarms))
    return found


def _cloudwatch(call: Call) -> list[Need]:
    context: dict[str, str | list[str]] = {}
    if namespace := call.params.get("Namespace"):
        context["cloudwatch:namespace"] = namespace
    return [Need(f"cloudwatch:{call.operation}", "*", context)]


def _secretsmanager(call: Call) -> list[Need]:
    """A secret's ARN ends in six characters that AWS chooses; a name is looked up first."""
    action, wanted = f"secretsmanager:{call.operation}", call.params.get("SecretId", "")
    if not wanted:
        named = call.params.get("Name", "*")
        return [Need(action, _secret_arn(call.region, f"{named}-0f1e2d"))]
    secrets = secretsmanager_backends[ACCOUNT][call.region].secrets
    found = next((each.arn for each in secrets.values() if wanted in (each.name, each.arn)), "")
    whole = wanted if wanted.startswith("arn:") else _secret_arn(call.region, wanted)
    return [Need(action, found or whole)]


def _secret_arn(region: str, name: str) -> str:
    return f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{name}"


def _ssm(call: Call) -> list[Need]:
    name = str(call.params.get("Name", "*"))
    whole = f"arn:aws:ssm:{call.region}:{ACCOUNT}:parameter/{name.lstrip('/')}"
    return [Need(f"ssm:{call.operation}", name if name.startswith("arn:") else whole)]


def _scheduler(call: Call) -> list[Need]:
    """A schedule's ARN holds its group; whoever names a role passes it to the scheduler."""
    name, group = call.params.get("Name", "*"), call.params.get("GroupName", "default")
    arn = f"arn:aws:scheduler:{call.region}:{ACCOUNT}:schedule/{group}/{name}"
    found = [Need(f"scheduler:{call.operation}", arn)]
    if role := call.params.get("Target", {}).get("RoleArn"):
        found.append(Need("iam:PassRole", role, {"iam:PassedToService": "scheduler.amazonaws.com"}))
    return found


_BY_SERVICE = {
    "application-autoscaling": _scaling,
    "cloudwatch": _cloudwatch,
    "ecr": _ecr,
    "iam": _iam,
    "logs": _logs,
    "s3": _s3,
    "scheduler": _scheduler,
    "sagemaker": _sagemaker,
    "sagemaker-runtime": _runtime,
    "secretsmanager": _secretsmanager,
    "ssm": _ssm,
    "sts": _sts,
}
