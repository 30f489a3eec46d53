"""Name the IAM permissions that each API call needs.

IAM's action is the name of the operation in most services; here are the exceptions. The source
is the Service Authorization Reference.
"""

from __future__ import annotations

from collections.abc import Mapping

PREFIXES: Mapping[str, str] = {
    "sagemaker-runtime": "sagemaker",
    "service-quotas": "servicequotas",
}
"""botocore's service name -> the prefix of its IAM actions, where they differ."""

RENAMED: Mapping[str, tuple[str, ...]] = {
    "sts:GetCallerIdentity": (),  # always allowed
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:ListObjectVersions": ("s3:ListBucketVersions",),
    "s3:ListMultipartUploads": ("s3:ListBucketMultipartUploads",),
    "s3:ListParts": ("s3:ListMultipartUploadParts",),
    "s3:HeadObject": ("s3:GetObject",),
    "s3:CreateMultipartUpload": ("s3:PutObject",),
    "s3:UploadPart": ("s3:PutObject",),
    "s3:CompleteMultipartUpload": ("s3:PutObject",),
    "s3:DeleteObjects": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    "s3:PutPublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "s3:GetPublicAccessBlock": ("s3:GetBucketPublicAccessBlock",),
    "s3:PutBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3:GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "s3:PutBucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "s3:GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
}
"""`service:Operation` -> the actions it needs, where they are not of the same name."""


def actions(service: str, operation: str) -> tuple[str, ...]:
    """The IAM actions that `operation` (as botocore spells it) of `service` needs."""
    return RENAMED.get(f"{service}:{operation}", (f"{PREFIXES.get(service, service)}:{operation}",))
