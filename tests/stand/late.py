"""What AWS answers while a setting that was just made is not everywhere yet.

S3: bucket configurations are eventually consistent
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel), and so is
IAM (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html). That the others are late
too is taken for granted, because nothing promises that they are not.
"""

from __future__ import annotations

from tests.stand.wire import Answer, AwsFault, Call, json_answer

_NOT_FOUND = {
    ("s3", "GetBucketTagging"): ("NoSuchTagSet", 404),
    ("s3", "GetBucketEncryption"): ("ServerSideEncryptionConfigurationNotFoundError", 404),
    ("s3", "GetBucketLifecycleConfiguration"): ("NoSuchLifecycleConfiguration", 404),
    ("s3", "GetBucketOwnershipControls"): ("OwnershipControlsNotFoundError", 404),
    ("s3", "GetBucketPolicy"): ("NoSuchBucketPolicy", 404),
    ("s3", "GetPublicAccessBlock"): ("NoSuchPublicAccessBlockConfiguration", 404),
    ("ecr", "GetLifecyclePolicy"): ("LifecyclePolicyNotFoundException", 400),
    ("iam", "GetRole"): ("NoSuchEntity", 404),
    ("iam", "GetRolePolicy"): ("NoSuchEntity", 404),
}
_EMPTY = {
    ("ecr", "ListTagsForResource"): {"tags": []},
    ("logs", "DescribeLogGroups"): {"logGroups": []},
    ("logs", "ListTagsForResource"): {"tags": {}},
    ("sagemaker", "ListTags"): {"Tags": []},
}
_NO_POLICIES = (
    '<ListRolePoliciesResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
    "<ListRolePoliciesResult><PolicyNames/><IsTruncated>false</IsTruncated>"
    "</ListRolePoliciesResult></ListRolePoliciesResponse>"
)
_FAULTS = {"iam": "late_roles", "sagemaker": "late_tags"}


def fault_of(call: Call) -> str:
    """The fault (of `Faults`) that decides whether this read is late; empty for others."""
    asked = (call.service, call.operation)
    if asked in {**_NOT_FOUND, **_EMPTY} or asked == ("iam", "ListRolePolicies"):
        return _FAULTS.get(call.service, "late_settings")
    return ""


def answer(call: Call) -> Answer:
    """The answer before the setting was made. Raises AwsFault."""
    asked = (call.service, call.operation)
    if asked == ("iam", "ListRolePolicies"):
        return Answer(_NO_POLICIES.encode(), headers={"Content-Type": "text/xml"})
    if asked in _EMPTY:
        return json_answer(_EMPTY[asked])
    code, status = _NOT_FOUND[asked]
    raise AwsFault(code, "It does not exist.", status)
