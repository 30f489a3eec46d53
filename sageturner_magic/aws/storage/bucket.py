"""Create, harden, repair, find, empty and delete the bucket for artefacts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from sageturner_magic.aws.account import statements
from sageturner_magic.aws.ecr import set_up_at
from sageturner_magic.aws.errors import code, is_aws, message, patiently, unless
from sageturner_magic.aws.freshness import once_seen
from sageturner_magic.aws.names import TAG_CREATED_BY, Names, own_tags, tag_list, tag_map
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.aws.storage.s3 import abort_uploads, delete_objects, owned, region_header
from sageturner_magic.errors import AwsError, Finding

RULE_ID = "sageturner-incomplete-uploads"
TLS_SID = "SageturnerTlsOnly"
DAYS_TO_RESUME = 7
"""An interrupted upload is kept, and billed, this long; then a lifecycle rule removes it."""

_NO_BUCKET = r"^(404|NoSuchBucket)\b"
_BEING_CHANGED = r"^OperationAborted\b"
_WAIT_S = 300.0
"""S3 may take longer to delete a bucket, up to an hour; then the error tells to wait."""
_PUBLIC_ACCESS = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


def ensure_bucket(
    session: AwsSession, names: Names, *, pause: Callable[[float], None] = time.sleep
) -> tuple[str, ...]:
    """Create the bucket, or repair one that carries our tag.

    An empty bucket of this account under our own name, without a tag, is what an interrupted
    setup leaves: it is adopted. A bucket that `overrides` names is used as it is. Waits while S3
    still deletes a bucket of that name, or makes another change of it.

    Permissions: s3:ListBucket, s3:CreateBucket, s3:GetBucketTagging, s3:PutBucketTagging,
    s3:GetBucketPublicAccessBlock, s3:PutBucketPublicAccessBlock, s3:GetBucketOwnershipControls,
    s3:PutBucketOwnershipControls, s3:GetEncryptionConfiguration, s3:PutEncryptionConfiguration,
    s3:GetBucketPolicy, s3:PutBucketPolicy, s3:GetLifecycleConfiguration,
    s3:PutLifecycleConfiguration.

    Returns:
        A line for everything that was changed.

    Raises:
        AwsError: The name belongs to somebody else, the bucket is not ours or lies in another
            region; a call failed.
    """
    notes: list[str] = []
    with session.call("set up the bucket", f"bucket {names.bucket}", resource=names.bucket_arn):
        patiently(
            _BEING_CHANGED, lambda: _ensure(session, names, notes), seconds=_WAIT_S, pause=pause
        )
    return tuple(notes)


def _ensure(session: AwsSession, names: Names, notes: list[str]) -> None:
    region = bucket_region(session, names)
    if region is None:
        _create(session, names)
        notes.append(f"created bucket {names.bucket} in {names.region}")
    elif region != names.region:
        raise _elsewhere(names, region)
    tags = _tags(session, names)
    if TAG_CREATED_BY not in tags:
        if region and not names.has_default_bucket:
            notes.append(f"left bucket {names.bucket} as it is, which is your own")
            return
        if tags or not _is_empty(session, names):
            raise AwsError(
                f"The bucket {names.bucket} was not made by sageturner",
                where=f"bucket {names.bucket}",
                why=f"it has no tag {TAG_CREATED_BY}",
                do=f"use it as it is with `overrides: {{bucket_name: {names.bucket}}}`, "
                "or rename or delete it and run setup again",
                code="ST74",
            )
        session.s3.put_bucket_tagging(
            **owned(names),
            Tagging={"TagSet": tag_list(own_tags(session))},  # type: ignore[typeddict-item]
        )
    notes += _harden(session, names)


def bucket_key(session: AwsSession, names: Names) -> str:
    """Id, ARN or alias of the KMS key that encrypts the bucket; empty for one of AWS's own.

    Permissions: s3:GetEncryptionConfiguration. Empty, too, where there is no such bucket.
    """
    with session.call("look up the bucket's encryption", f"bucket {names.bucket}"):
        answer = unless(
            rf"^ServerSideEncryptionConfigurationNotFound|{_NO_BUCKET}",
            lambda: session.s3.get_bucket_encryption(**owned(names)),
        )
    rules = answer["ServerSideEncryptionConfiguration"]["Rules"] if answer else []
    keys = [
        str(rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID", ""))
        for rule in rules
    ]
    # Whoever may use S3 may use the key that AWS manages for it.
    return next((key for key in keys if key and not key.endswith("alias/aws/s3")), "")


def bucket_findings(session: AwsSession, names: Names) -> tuple[Finding, ...]:
    """Whether the bucket can be used: it exists, is this account's and in this region.

    Permissions: s3:ListBucket. Raises AwsError when AWS does not answer.
    """
    where = f"bucket {names.bucket}"
    try:
        with session.call("look up the bucket", where, resource=names.bucket_arn):
            region = bucket_region(session, names)
            if region is not None and region != names.region:
                raise _elsewhere(names, region)
    except AwsError as error:
        return error.findings
    if region is None:
        return (
            Finding(
                "The bucket does not exist", where=where, do="run `sageturner setup`", code="ST74"
            ),
        )
    return ()


def bucket_region(session: AwsSession, names: Names) -> str | None:
    """The region of our bucket; None if there is no bucket of that name.

    Permissions: s3:ListBucket. Raises AwsError if it belongs to somebody else.
    """
    try:
        answer = session.s3.head_bucket(**owned(names))
    except Exception as error:
        if not is_aws(error):
            raise
        if code(error) in ("404", "NoSuchBucket"):
            return None
        if code(error) in ("301", "PermanentRedirect"):
            return region_header(error) or "another region"
        if code(error) in ("403", "AccessDenied"):
            raise AwsError(
                f"The bucket {names.bucket} belongs to somebody else, or you may not see it",
                where="overrides.bucket_name",
                why="bucket names are global, and S3 refused it for "
                f"account {names.account} ({message(error)})",
                do="name another under `overrides.bucket_name`; if it is yours, you need "
                f"s3:ListBucket on {names.bucket_arn}",
                code="ST74",
            ) from error
        raise
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    return headers.get("x-amz-bucket-region", names.region)


def delete_bucket(
    session: AwsSession, names: Names, checkpoint: Callable[[], None] = lambda: None
) -> tuple[str, ...]:
    """Empty and delete the bucket that setup made; nothing where it is gone or not ours.

    Permissions: s3:ListBucket, s3:GetBucketTagging, s3:ListBucketVersions, s3:DeleteObject,
    s3:DeleteObjectVersion, s3:ListBucketMultipartUploads, s3:AbortMultipartUpload,
    s3:DeleteBucket; those of `set_up_at`.

    Args:
        session: Who asks.
        names: Which bucket.
        checkpoint: Called between pages; raises to stop.

    Returns:
        A line for what was done.
    """
    with session.call("delete the bucket", f"bucket {names.bucket}", resource=names.bucket_arn):
        if bucket_region(session, names) is None:
            return ()
        tags = once_seen(
            lambda: _tags(session, names),
            lambda tags: TAG_CREATED_BY in tags,
            lambda: set_up_at(session, names),
        )
        if TAG_CREATED_BY not in tags:
            return (f"kept bucket {names.bucket}, which sageturner did not make",)
        abort_uploads(session, names, "")
        pages = session.s3.get_paginator("list_object_versions").paginate(**owned(names))
        for page in pages:
            checkpoint()
            gone = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            delete_objects(
                session, names, [{"Key": o["Key"], "VersionId": o["VersionId"]} for o in gone]
            )
        unless(_NO_BUCKET, lambda: session.s3.delete_bucket(**owned(names)))
    return (f"deleted bucket {names.bucket} and all that was in it",)


def _create(session: AwsSession, names: Names) -> None:
    configuration: dict[str, Any] = {}
    # us-east-1 is the one region that must not be named.
    if names.region != "us-east-1":
        configuration["CreateBucketConfiguration"] = {"LocationConstraint": names.region}
    session.s3.create_bucket(
        Bucket=names.bucket, ObjectOwnership="BucketOwnerEnforced", **configuration
    )


def _harden(session: AwsSession, names: Names) -> list[str]:
    s3, bucket = session.s3, owned(names)
    notes: list[str] = []
    access = unless(
        r"^NoSuchPublicAccessBlockConfiguration", lambda: s3.get_public_access_block(**bucket)
    )
    if access is None or access["PublicAccessBlockConfiguration"] != _PUBLIC_ACCESS:
        s3.put_public_access_block(
            **bucket,
            PublicAccessBlockConfiguration=_PUBLIC_ACCESS,  # type: ignore[arg-type]
        )
        notes.append("blocked public access")
    owner = unless(
        r"^OwnershipControlsNotFoundError", lambda: s3.get_bucket_ownership_controls(**bucket)
    )
    rules = owner["OwnershipControls"]["Rules"] if owner else []
    if not any(rule["ObjectOwnership"] == "BucketOwnerEnforced" for rule in rules):
        s3.put_bucket_ownership_controls(
            **bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        )
        notes.append("switched off access control lists")
    # An encryption that the user has made stronger (a KMS key) stays.
    encryption = unless(
        r"^ServerSideEncryptionConfigurationNotFound", lambda: s3.get_bucket_encryption(**bucket)
    )
    if encryption is None:
        s3.put_bucket_encryption(
            **bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
        )
        notes.append("switched on encryption")
    return notes + _mend_policy(session, names) + _mend_lifecycle(session, names)


def tls_statement(names: Names) -> dict[str, Any]:
    """The statement that refuses every request to the bucket that is not sent over TLS."""
    return {
        "Sid": TLS_SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [names.bucket_arn, f"{names.bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def _mend_policy(session: AwsSession, names: Names) -> list[str]:
    answer = unless(r"^NoSuchBucketPolicy", lambda: session.s3.get_bucket_policy(**owned(names)))
    policy: dict[str, Any] = (
        json.loads(answer["Policy"]) if answer else {"Version": "2012-10-17", "Statement": []}
    )
    wanted = [s for s in statements(policy) if s.get("Sid") != TLS_SID] + [tls_statement(names)]
    if policy["Statement"] == wanted:
        return []
    session.s3.put_bucket_policy(**owned(names), Policy=json.dumps({**policy, "Statement": wanted}))
    return ["allowed access over TLS only"]


def _mend_lifecycle(session: AwsSession, names: Names) -> list[str]:
    answer = unless(
        r"^NoSuchLifecycleConfiguration",
        lambda: session.s3.get_bucket_lifecycle_configuration(**owned(names)),
    )
    rules: list[Any] = list(answer.get("Rules", [])) if answer else []
    wanted: Any = {
        "ID": RULE_ID,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": DAYS_TO_RESUME},
    }
    if wanted in rules:
        return []
    others = [rule for rule in rules if rule.get("ID") != RULE_ID]
    session.s3.put_bucket_lifecycle_configuration(
        **owned(names), LifecycleConfiguration={"Rules": [*others, wanted]}
    )
    return [f"set unfinished uploads to be removed after {DAYS_TO_RESUME} days"]


def _tags(session: AwsSession, names: Names) -> dict[str, str]:
    answer = unless(r"^NoSuchTagSet", lambda: session.s3.get_bucket_tagging(**owned(names)))
    return tag_map(answer["TagSet"]) if answer else {}  # type: ignore[arg-type]


def _is_empty(session: AwsSession, names: Names) -> bool:
    return not session.s3.list_objects_v2(**owned(names), MaxKeys=1).get("Contents")


def _elsewhere(names: Names, region: str) -> AwsError:
    return AwsError(
        f"The bucket {names.bucket} is in {region}",
        where="overrides.bucket_name",
        why=f"an endpoint in {names.region} cannot load an artefact from there",
        do=f"name a bucket of {names.region} under `overrides.bucket_name`, or use "
        f"`--region {region}`",
        code="ST74",
    )
