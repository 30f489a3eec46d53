"""Read and delete S3 objects: our artefacts, and what a user names as `s3://…`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sageturner_magic.aws.account import ExecutionRole, access_findings
from sageturner_magic.aws.errors import REFUSED, code, is_aws, unless
from sageturner_magic.aws.names import Names
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.errors import AwsError, Finding

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

ARTEFACTS = "artefacts/"
ARCHIVE = "model.tar.gz"


@dataclass(frozen=True)
class StoredArtefact:
    """An artefact in the bucket.

    Attributes:
        digest: SHA-256 (hex) of the content, from its key.
        size: Bytes of all its objects.
        modified: When the newest object was written, seconds since 1970.
    """

    digest: str
    size: int
    modified: float


def list_artefacts(session: AwsSession, names: Names) -> tuple[StoredArtefact, ...]:
    """All artefacts in the bucket; none where the bucket does not exist.

    Permissions: s3:ListBucket. Raises AwsError.
    """
    sizes: dict[str, int] = {}
    times: dict[str, float] = {}
    with session.call("list the artefacts", f"bucket {names.bucket}", resource=names.bucket_arn):
        for key, size, modified in _objects(session, names, ARTEFACTS):
            digest = key.removeprefix(ARTEFACTS).split("/", 1)[0]
            sizes[digest] = sizes.get(digest, 0) + size
            times[digest] = max(times.get(digest, 0.0), modified)
    return tuple(StoredArtefact(digest, sizes[digest], times[digest]) for digest in sorted(sizes))


def delete_artefact(session: AwsSession, names: Names, digest: str) -> int:
    """Delete an artefact in all its forms, and unfinished uploads of it. Safe to repeat.

    Unfinished uploads that the caller may not list stay: a lifecycle rule removes them.

    Permissions: s3:ListBucket, s3:DeleteObject, s3:ListBucketMultipartUploads,
    s3:AbortMultipartUpload.

    Returns:
        The number of objects deleted.
    """
    prefix = f"{ARTEFACTS}{digest}/"
    with session.call("delete the artefact", f"s3://{names.bucket}/{prefix}"):
        unless(REFUSED, lambda: abort_uploads(session, names, prefix))
        keys: list[ObjectIdentifierTypeDef] = [
            {"Key": key} for key, _, _ in _objects(session, names, prefix)
        ]
        delete_objects(session, names, keys)
    return len(keys)


def abort_uploads(session: AwsSession, names: Names, prefix: str) -> None:
    """Drop the parts of unfinished uploads below `prefix`.

    Permissions: s3:ListBucketMultipartUploads, s3:AbortMultipartUpload.
    """
    pages = session.s3.get_paginator("list_multipart_uploads").paginate(
        **owned(names), Prefix=prefix
    )
    for page in pages:
        for upload in page.get("Uploads", []):
            abort_upload(session, names, upload["Key"], upload["UploadId"])


def abort_upload(session: AwsSession, names: Names, key: str, upload_id: str) -> None:
    """Drop the parts of one unfinished upload. Permissions: s3:AbortMultipartUpload."""
    unless(
        r"^NoSuchUpload",
        lambda: session.s3.abort_multipart_upload(**owned(names), Key=key, UploadId=upload_id),
    )


def split_uri(uri: str) -> tuple[str, str]:
    """(bucket, key) of an `s3://bucket/key`. Raises AwsError if it is none."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise AwsError(
            f"{uri!r} is not an S3 address",
            where="artefact",
            do="write `s3://bucket/path/model.tar.gz`, or `s3://bucket/prefix/` for a folder",
            code="ST75",
        )
    return bucket, key


def uri_findings(
    session: AwsSession, uri: str, role: ExecutionRole | None = None
) -> tuple[Finding, ...]:
    """Whether an endpoint can load `uri` (an archive, or a prefix that ends in `/`).

    It must exist and lie in this region, a prefix may hold no empty object whose key ends in `/`
    (such objects fail a deployment), and `role`, where given, must be allowed to read it.

    Permissions: s3:ListBucket and s3:GetObject on that bucket; to check the role those of
    `iam.access_findings`.
    """
    bucket, key = split_uri(uri)
    arn = f"arn:{session.partition}:s3:::{bucket}"
    is_prefix = not key or key.endswith("/")
    findings: list[Finding] = []
    try:
        with session.call("look up the artefact", "artefact", resource=f"{arn}/{key}"):
            findings += _address_findings(session, bucket, key, uri)
    except AwsError as error:
        return error.findings
    if role:
        needs = [("s3:GetObject", f"{arn}/{key}*" if is_prefix else f"{arn}/{key}")]
        needs += [("s3:ListBucket", arn)] if is_prefix else []
        findings += access_findings(session, role, needs, "artefact")
    return tuple(findings)


def _address_findings(session: AwsSession, bucket: str, key: str, uri: str) -> Iterator[Finding]:
    region = ""
    try:
        head = session.s3.head_bucket(Bucket=bucket)
        region = head["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", "")
    except Exception as error:
        if not is_aws(error):
            raise
        if code(error) in ("404", "NoSuchBucket"):
            yield Finding(
                f"There is no bucket {bucket}", where="artefact", do="correct the name", code="ST74"
            )
            return
        region = region_header(error)
        if not region or region == session.region:
            raise
    if region and region != session.region:
        yield Finding(
            f"The bucket {bucket} is in {region}",
            where="artefact",
            why=f"an endpoint in {session.region} cannot load from there",
            do=f"copy it to a bucket in {session.region}, or deploy with `--region {region}`",
            code="ST74",
        )
        return
    if key and not key.endswith("/"):
        found = unless(
            r"^(404|NoSuchKey)\b", lambda: session.s3.head_object(Bucket=bucket, Key=key)
        )
        if found is None:
            yield Finding(
                f"There is no object {uri}", where="artefact", do="correct the path", code="ST75"
            )
        return
    objects = 0
    pages = session.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    for page in pages:
        for item in page.get("Contents", []):
            objects += 1
            if item["Key"].endswith("/") and item["Size"] == 0:
                yield Finding(
                    f"s3://{bucket}/{item['Key']} is an empty object that stands for a folder",
                    where="artefact",
                    why="SageMaker fails to load a prefix that holds one",
                    do=f"remove it: `aws s3api delete-object --bucket {bucket} "
                    f"--key '{item['Key']}'`",
                    code="ST75",
                )
    if not objects:
        yield Finding(
            f"Nothing lies below {uri}", where="artefact", do="correct the path", code="ST75"
        )


def archive_bytes(session: AwsSession, uri: str) -> int:
    """Size of the archive at `uri`; 0 if it is not there or may not be read.

    Permissions: s3:GetObject on it, without which nothing is known.
    """
    bucket, key = split_uri(uri)
    try:
        return int(session.s3.head_object(Bucket=bucket, Key=key)["ContentLength"])
    except Exception as error:
        # What is wrong with the address, `uri_findings` tells.
        if not is_aws(error):
            raise
        return 0


def owned(names: Names) -> Any:
    """The arguments that name our bucket: with its owner, S3 refuses to touch somebody else's."""
    return {"Bucket": names.bucket, "ExpectedBucketOwner": names.account}


def _objects(session: AwsSession, names: Names, prefix: str) -> Iterator[tuple[str, int, float]]:
    pages = session.s3.get_paginator("list_objects_v2").paginate(**owned(names), Prefix=prefix)
    try:
        for page in pages:
            for item in page.get("Contents", []):
                yield item["Key"], item["Size"], item["LastModified"].timestamp()
    except Exception as error:
        if not (is_aws(error) and code(error) == "NoSuchBucket"):
            raise


def delete_objects(
    session: AwsSession, names: Names, objects: list[ObjectIdentifierTypeDef]
) -> None:
    """Delete any number of objects. Permissions: s3:DeleteObject, s3:DeleteObjectVersion.

    Raises AwsError where S3 keeps some of them.
    """
    for start in range(0, len(objects), 1000):
        answer = session.s3.delete_objects(
            **owned(names),
            Delete={"Objects": objects[start : start + 1000], "Quiet": True},
        )
        if failed := answer.get("Errors"):
            raise AwsError(
                f"Could not delete {len(failed)} objects",
                where=f"s3://{names.bucket}/{failed[0].get('Key', '')}",
                why=f"{failed[0].get('Code')}: {failed[0].get('Message')}",
                do="run the same command again; you need s3:DeleteObject on the bucket",
            )


def region_header(error: Exception) -> str:
    """The bucket's region, which S3 names even where it refuses; empty where it does not."""
    answer: Any = getattr(error, "response", {})
    headers: dict[str, str] = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers.get("x-amz-bucket-region", "")
