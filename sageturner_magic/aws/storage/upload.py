"""Upload artefacts in parts, resume by content, and skip what is in the bucket.

The archive is never on disk and never whole in memory: parts are cut from the stream of
`archive.pack` and sent by a few threads. After an interruption the same stream gives the same
parts, so those that S3 holds already are not sent again.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sageturner_magic.aws.errors import REFUSED, code, is_aws, unless
from sageturner_magic.aws.names import Names
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.aws.storage import archive
from sageturner_magic.aws.storage.s3 import ARCHIVE, ARTEFACTS, abort_upload, owned
from sageturner_magic.errors import DeploymentCancelled
from sageturner_magic.values import Artefact, Reporter

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART = 8 << 20
"""The least size of a part in bytes (S3 takes no less than 5 MiB, except at the end)."""

PARTS = 9_000
"""The parts that an upload is cut into at most; S3 allows 10,000."""

THREADS = 4
_MOST_OF_TAR = 4096  # Bytes that tar and gzip add to a file at most, rounded up generously.


@dataclass(frozen=True)
class _Part:
    number: int
    data: bytes
    source: int  # Bytes of the artefact's files that went into it.


@dataclass(frozen=True)
class _Held:
    """A part that S3 holds from an earlier, interrupted upload."""

    size: int
    etag: str
    crc32: str


def upload_archive(
    session: AwsSession, names: Names, artefact: Artefact, reporter: Reporter
) -> str:
    """Pack `artefact` as model.tar.gz straight into the bucket, unless it is there.

    Permissions: s3:GetObject, s3:PutObject, s3:ListBucket, s3:ListBucketMultipartUploads,
    s3:ListMultipartUploadParts, s3:AbortMultipartUpload.

    Returns:
        Its S3 address.

    Raises:
        ArtefactError: A file changed while it was read, or a link leads nowhere.
        AwsError: S3 refused or broke off; running again resumes.
        DeploymentCancelled: From `reporter`; nothing is left in the bucket.
    """
    bound = artefact.size + artefact.size // 1000 + (artefact.files + 16) * _MOST_OF_TAR
    return _upload(
        session,
        names,
        f"{ARTEFACTS}{artefact.digest}/{ARCHIVE}",
        archive.pack(artefact.folder),
        bound,
        _Progress(reporter, artefact.size, ARCHIVE),
    )


def upload_prefix(session: AwsSession, names: Names, artefact: Artefact, reporter: Reporter) -> str:
    """Upload the files of `artefact` one by one, those that are there left out.

    For `ModelDataSource`, which loads faster than an archive. No object stands for a folder,
    because SageMaker fails on an empty object whose key ends in `/`.

    Permissions and errors: as `upload_archive`.

    Returns:
        The prefix as an S3 address; it ends in `/`.
    """
    prefix = f"{ARTEFACTS}{artefact.digest}/files/"
    uri = f"s3://{names.bucket}/{prefix}"
    progress = _Progress(reporter, artefact.size, "")
    with session.call("upload the artefact", uri, resource=f"{names.bucket_arn}/*"):
        there: dict[str, int] = {}
        pages = session.s3.get_paginator("list_objects_v2").paginate(**owned(names), Prefix=prefix)
        for page in pages:
            there.update({item["Key"]: item["Size"] for item in page.get("Contents", [])})
    for entry in archive.entries(artefact.folder):
        if entry.is_folder:
            continue
        key, size = prefix + entry.path, entry.size
        if there.get(key) == size:
            progress.add(size)
            continue
        pieces = ((chunk, len(chunk)) for chunk in entry.chunks())
        _upload(session, names, key, pieces, size, progress)
    return uri


class _Progress:
    def __init__(self, reporter: Reporter, total: int, part: str) -> None:
        self._reporter, self._total, self._part, self._done = reporter, total, part, 0
        self.checkpoint = reporter.checkpoint

    def add(self, size: int) -> None:
        self._done += size
        self._reporter.progress(self._done, self._total, "B", self._part)

    def nothing_to_do(self) -> None:
        self._reporter.log(f"{self._part or 'the artefact'} is in the bucket already")
        self.add(self._total - self._done)


def _upload(
    session: AwsSession,
    names: Names,
    key: str,
    pieces: Iterable[tuple[bytes, int]],
    bound: int,
    progress: _Progress,
) -> str:
    """Upload `pieces`, of at most `bound` bytes in all, under `key`."""
    uri = f"s3://{names.bucket}/{key}"
    bucket, s3 = owned(names), session.s3
    with session.call("upload the artefact", uri, resource=f"{names.bucket_arn}/{key}"):
        if _is_there(session, names, key):
            progress.nothing_to_do()
            return uri
        parts = _cut(pieces, max(PART, -(-bound // PARTS)), progress)
        first = next(parts)
        second = next(parts, None)
        if second is None:
            s3.put_object(**bucket, Key=key, Body=first.data)
            progress.add(first.source)
            return uri
        upload_id, held = _begin(session, names, key)
        try:
            sent = _send(
                session, names, key, upload_id, _chain(first, second, parts), held, progress
            )
            s3.complete_multipart_upload(
                **bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": sent}
            )
        except (DeploymentCancelled, KeyboardInterrupt):
            abort_upload(session, names, key, upload_id)
            raise
        except Exception as error:
            # Somebody who uploads the same content may have finished it under our hands.
            if not (is_aws(error) and code(error) == "NoSuchUpload"):
                raise
            if not _is_there(session, names, key):
                raise
            progress.nothing_to_do()
    return uri


def _is_there(session: AwsSession, names: Names, key: str) -> bool:
    # A multipart upload appears as a whole or not at all: what is there is complete.
    return bool(
        unless(r"^(404|NoSuchKey)\b", lambda: session.s3.head_object(**owned(names), Key=key))
    )


def _cut(pieces: Iterable[tuple[bytes, int]], size: int, progress: _Progress) -> Iterator[_Part]:
    """Parts of exactly `size` bytes, the last one shorter; at least one, if empty."""
    buffer, source, number = bytearray(), 0, 1
    for data, read in pieces:
        progress.checkpoint()
        buffer += data
        source += read
        while len(buffer) >= size:
            yield _Part(number, bytes(buffer[:size]), source)
            del buffer[:size]
            source, number = 0, number + 1
    if buffer or source or number == 1:
        yield _Part(number, bytes(buffer), source)


def _chain(first: _Part, second: _Part, others: Iterator[_Part]) -> Iterator[_Part]:
    yield first
    yield second
    yield from others


def _begin(session: AwsSession, names: Names, key: str) -> tuple[str, dict[int, _Held]]:
    """The upload to go on with and the parts it holds, or a new one."""
    # Who may upload need not be allowed to see what an interrupted upload has left.
    if (found := unless(REFUSED, lambda: _unfinished(session, names, key))) is not None:
        return found
    return session.s3.create_multipart_upload(**owned(names), Key=key)["UploadId"], {}


def _unfinished(session: AwsSession, names: Names, key: str) -> tuple[str, dict[int, _Held]] | None:
    """The newest unfinished upload under `key` and the parts it holds; None without one."""
    bucket, s3 = owned(names), session.s3
    pages = s3.get_paginator("list_multipart_uploads").paginate(**bucket, Prefix=key)
    found = [u for page in pages for u in page.get("Uploads", []) if u["Key"] == key]
    newest = max(found, key=lambda upload: upload["Initiated"], default=None)
    if newest is None:
        return None
    upload_id = newest["UploadId"]
    listed = s3.get_paginator("list_parts").paginate(**bucket, Key=key, UploadId=upload_id)
    held = {
        part["PartNumber"]: _Held(
            part["Size"], part["ETag"].strip('"'), part.get("ChecksumCRC32", "")
        )
        for page in listed
        for part in page.get("Parts", [])
    }
    return upload_id, held


def _send(
    session: AwsSession,
    names: Names,
    key: str,
    upload_id: str,
    parts: Iterator[_Part],
    held: dict[int, _Held],
    progress: _Progress,
) -> list[CompletedPartTypeDef]:
    """Send what S3 does not hold, `THREADS` parts at a time; all parts for the completion."""
    sent: list[CompletedPartTypeDef] = []
    waiting: dict[Future[CompletedPartTypeDef], _Part] = {}

    def settle(most: int) -> None:
        while len(waiting) > most:
            done, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            progress.checkpoint()
            for future in done:
                source = waiting.pop(future).source
                sent.append(future.result())
                progress.add(source)

    with ThreadPoolExecutor(THREADS, thread_name_prefix="upload") as pool:
        for part in parts:
            future = pool.submit(_send_part, session, names, key, upload_id, part, held)
            waiting[future] = part
            settle(THREADS)
        settle(0)
    return sorted(sent, key=lambda part: part["PartNumber"])


def _send_part(
    session: AwsSession,
    names: Names,
    key: str,
    upload_id: str,
    part: _Part,
    held: dict[int, _Held],
) -> CompletedPartTypeDef:
    there = held.get(part.number)
    if there and there.size == len(part.data) and _same(there, part.data):
        done: CompletedPartTypeDef = {"PartNumber": part.number, "ETag": f'"{there.etag}"'}
        return {**done, "ChecksumCRC32": there.crc32} if there.crc32 else done
    answer = session.s3.upload_part(
        **owned(names), Key=key, UploadId=upload_id, PartNumber=part.number, Body=part.data
    )
    done = {"PartNumber": part.number, "ETag": answer["ETag"]}
    checksum = answer.get("ChecksumCRC32")
    return {**done, "ChecksumCRC32": checksum} if checksum else done


def _same(there: _Held, data: bytes) -> bool:
    # The ETag is the MD5, except in a bucket that encrypts with a KMS key.
    if there.etag == hashlib.md5(data, usedforsecurity=False).hexdigest():
        return True
    return there.crc32 == base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
