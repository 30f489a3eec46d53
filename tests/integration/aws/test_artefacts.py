"""Artefacts on their way into the bucket, and out of it again."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from sageturner_magic.aws.account import role_setup
from sageturner_magic.aws.names import Names
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.aws.storage import s3, upload
from sageturner_magic.aws.storage.bucket import delete_bucket, ensure_bucket
from sageturner_magic.errors import AwsError, DeploymentCancelled
from sageturner_magic.values import Artefact

MIB = 1 << 20


class Recorder:
    """A Reporter that remembers, and cancels once so many bytes are through."""

    def __init__(self, cancel_at: float = float("inf")) -> None:
        self.lines: list[str] = []
        self.done: list[float] = []
        self.total: float | None = None
        self._cancel_at = cancel_at

    def log(self, line: str) -> None:
        self.lines.append(line)

    def progress(self, done: float, total: float | None, unit: str, part: str = "") -> None:
        assert unit == "B"
        self.done.append(done)
        self.total = total

    def checkpoint(self) -> None:
        if self.done and self.done[-1] >= self._cancel_at:
            raise DeploymentCancelled("Cancelled")


class Sent:
    """Counts the parts and objects that are really sent, and can break the line."""

    def __init__(self, session: AwsSession, fail_after: int | None = None) -> None:
        self.parts: list[int] = []
        self.puts = 0
        self._left = fail_after
        self._lock = threading.Lock()
        events = session.s3.meta.events
        events.register("before-parameter-build.s3.UploadPart", self._part)
        events.register("before-parameter-build.s3.PutObject", self._put)

    def _part(self, params: dict[str, int], **_: object) -> None:
        from botocore.exceptions import EndpointConnectionError

        with self._lock:
            if self._left is not None:
                if self._left == 0:
                    raise EndpointConnectionError(endpoint_url="the bucket")
                self._left -= 1
            self.parts.append(params["PartNumber"])

    def _put(self, **_: object) -> None:
        self.puts += 1

    def reset(self) -> None:
        self.parts.clear()
        self.puts, self._left = 0, None


@pytest.fixture
def bucket(session: AwsSession, ours: Names) -> Names:
    ensure_bucket(session, ours)
    return ours


@pytest.fixture
def artefact(tmp_path: Path) -> Artefact:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(os.urandom(20 * MIB + 17))
    (folder / "sub" / "config.json").write_text('{"a": 1}')
    (folder / "sub" / "empty").write_bytes(b"")
    (folder / "link.json").symlink_to("sub/config.json")
    digest = hashlib.sha256(b"the content").hexdigest()
    return Artefact(folder, digest, 20 * MIB + 17 + 16, 4)


def _contents(session: AwsSession, names: Names, uri: str) -> dict[str, bytes]:
    _, key = s3.split_uri(uri)
    body = session.s3.get_object(Bucket=names.bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        assert not [m for m in tar.getmembers() if m.issym() or m.islnk()]
        files = {m.name: tar.extractfile(m) for m in tar.getmembers() if m.isfile()}
        return {name: file.read() for name, file in files.items() if file}


def test_an_archive_arrives_whole_in_parts_with_progress(
    session: AwsSession, bucket: Names, artefact: Artefact
) -> None:
    sent, reporter = Sent(session), Recorder()
    uri = upload.upload_archive(session, bucket, artefact, reporter)
    assert uri == f"s3://{bucket.bucket}/artefacts/{artefact.digest}/model.tar.gz"
    assert sorted(sent.parts) == [1, 2, 3]
    assert reporter.done == sorted(reporter.done)
    assert reporter.done[-1] == reporter.total == artefact.size
    files = _contents(session, bucket, uri)
    assert set(files) == {"weights.bin", "sub/config.json", "sub/empty", "link.json"}
    assert files["weights.bin"] == (artefact.folder / "weights.bin").read_bytes()
    assert files["link.json"] == b'{"a": 1}'


def test_what_is_there_is_not_sent_again(
    session: AwsSession, bucket: Names, artefact: Artefact
) -> None:
    first = upload.upload_archive(session, bucket, artefact, Recorder())
    sent, reporter = Sent(session), Recorder()
    assert upload.upload_archive(session, bucket, artefact, reporter) == first
    assert (sent.parts, sent.puts) == ([], 0)
    assert reporter.lines == ["model.tar.gz is in the bucket already"]
    assert reporter.done == [artefact.size]


def test_an_interrupted_upload_is_resumed_by_content(
    session: AwsSession, bucket: Names, artefact: Artefact
) -> None:
    sent = Sent(session, fail_after=2)
    with pytest.raises(AwsError, match="nothing answers"):
        upload.upload_archive(session, bucket, artefact, Recorder())
    held = list(sent.parts)
    assert len(held) == 2
    sent.reset()
    reporter = Recorder()
    uri = upload.upload_archive(session, bucket, artefact, reporter)
    assert sorted(sent.parts + held) == [1, 2, 3]
    assert reporter.done[-1] == artefact.size
    weights = _contents(session, bucket, uri)["weights.bin"]
    assert weights == (artefact.folder / "weights.bin").read_bytes()
    assert not session.s3.list_multipart_uploads(Bucket=bucket.bucket).get("Uploads")


def test_parts_of_other_content_are_sent_anew(
    session: AwsSession, bucket: Names, artefact: Artefact
) -> None:
    key = f"artefacts/{artefact.digest}/model.tar.gz"
    stale = session.s3.create_multipart_upload(Bucket=bucket.bucket, Key=key)["UploadId"]
    session.s3.upload_part(
        Bucket=bucket.bucket, Key=key, UploadId=stale, PartNumber=1, Body=os.urandom(8 * MIB)
    )
    sent = Sent(session)
    uri = upload.upload_archive(session, bucket, artefact, Recorder())
    assert sorted(sent.parts) == [1, 2, 3]
    assert "weights.bin" in _contents(session, bucket, uri)


def test_cancelling_leaves_nothing_in_the_bucket(
    session: AwsSession, bucket: Names, artefact: Artefact
) -> None:
    with pytest.raises(DeploymentCancelled):
        upload.upload_archive(session, bucket, artefact, Recorder(cancel_at=8 * MIB))
    assert not session.s3.list_multipart_uploads(Bucket=bucket.bucket).get("Uploads")
    assert not session.s3.list_objects_v2(Bucket=bucket.bucket).get("Contents")


def test_an_upload_that_somebody_else_finished_counts_as_done(
    session: AwsSession, bucket: Names, artefact: Artefact
) -> None:
    key = f"artefacts/{artefact.digest}/model.tar.gz"

    def finish(**_: object) -> None:
        session.s3.put_object(Bucket=bucket.bucket, Key=key, Body=b"the same")
        answer = {"Error": {"Code": "NoSuchUpload", "Message": "The upload does not exist."}}
        raise ClientError(answer, "UploadPart")  # type: ignore[arg-type]

    session.s3.meta.events.register("before-parameter-build.s3.UploadPart", finish)
    reporter = Recorder()
    uri = upload.upload_archive(session, bucket, artefact, reporter)
    assert uri.endswith(key)
    assert reporter.lines == ["model.tar.gz is in the bucket already"]


def test_a_small_artefact_is_one_object(session: AwsSession, bucket: Names, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a.txt").write_text("a")
    sent = Sent(session)
    small = Artefact(tmp_path / "m", "c" * 64, 1, 1)
    uri = upload.upload_archive(session, bucket, small, Recorder())
    assert (sent.parts, sent.puts) == ([], 1)
    assert _contents(session, bucket, uri) == {"a.txt": b"a"}


def test_a_prefix_holds_files_only_and_the_rest_is_sent_after_an_interruption(
    session: AwsSession, bucket: Names, artefact: Artefact
) -> None:
    sent = Sent(session, fail_after=2)
    with pytest.raises(AwsError):
        upload.upload_prefix(session, bucket, artefact, Recorder())
    sent.reset()
    reporter = Recorder()
    uri = upload.upload_prefix(session, bucket, artefact, reporter)
    assert uri == f"s3://{bucket.bucket}/artefacts/{artefact.digest}/files/"
    keys = {o["Key"] for o in session.s3.list_objects_v2(Bucket=bucket.bucket)["Contents"]}
    names = {key.split("/files/")[1] for key in keys}
    assert names == {"weights.bin", "sub/config.json", "sub/empty", "link.json"}
    assert sent.puts == 0 and len(sent.parts) == 1
    assert reporter.done[-1] == artefact.size
    again = Sent(session)
    upload.upload_prefix(session, bucket, artefact, Recorder())
    assert (again.parts, again.puts) == ([], 0)


def test_every_call_on_the_bucket_names_its_owner(
    session: AwsSession, ours: Names, artefact: Artefact
) -> None:
    without: list[str] = []

    def check(params: dict[str, str], model: object, **_: object) -> None:
        if params.get("ExpectedBucketOwner") != ours.account:
            without.append(str(model))

    session.s3.meta.events.register("before-parameter-build.s3", check)
    ensure_bucket(session, ours)
    upload.upload_archive(session, ours, artefact, Recorder())
    upload.upload_prefix(session, ours, artefact, Recorder())
    s3.list_artefacts(session, ours)
    s3.delete_artefact(session, ours, artefact.digest)
    delete_bucket(session, ours)
    assert without == ["OperationModel(name=CreateBucket)"]


def test_artefacts_are_listed_and_deleted_in_all_their_forms(
    session: AwsSession, bucket: Names, artefact: Artefact
) -> None:
    upload.upload_archive(session, bucket, artefact, Recorder())
    upload.upload_prefix(session, bucket, artefact, Recorder())
    (stored,) = s3.list_artefacts(session, bucket)
    assert stored.digest == artefact.digest and stored.size > 40 * MIB
    assert s3.delete_artefact(session, bucket, artefact.digest) == 5
    assert s3.delete_artefact(session, bucket, artefact.digest) == 0
    assert s3.list_artefacts(session, bucket) == ()


class TestAnArtefactElsewhere:
    def test_that_exists_and_that_the_role_may_read_is_fine(
        self, session: AwsSession, bucket: Names
    ) -> None:
        role, _ = role_setup.ensure_role(session, bucket)
        session.s3.put_object(Bucket=bucket.bucket, Key="models/m.tar.gz", Body=b"x")
        for uri in (f"s3://{bucket.bucket}/models/m.tar.gz", f"s3://{bucket.bucket}/models/"):
            assert s3.uri_findings(session, uri, role) == ()

    def test_that_the_role_may_not_read_prints_the_missing_statement(
        self, session: AwsSession, bucket: Names
    ) -> None:
        role, _ = role_setup.ensure_role(session, bucket)
        session.s3.create_bucket(
            Bucket="another", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        session.s3.put_object(Bucket="another", Key="models/w.bin", Body=b"x")
        (finding,) = s3.uri_findings(session, "s3://another/models/", role)
        assert finding.details.count('"Effect": "Allow"') == 2
        assert "arn:aws:s3:::another/models/*" in finding.details
        assert "s3:ListBucket" in finding.details

    def test_that_does_not_exist_is_a_finding(self, session: AwsSession, bucket: Names) -> None:
        for uri, text in (
            ("s3://no-such-bucket-here/m.tar.gz", "no bucket"),
            (f"s3://{bucket.bucket}/none.tar.gz", "no object"),
            (f"s3://{bucket.bucket}/none/", "Nothing lies below"),
        ):
            (finding,) = s3.uri_findings(session, uri)
            assert text in finding.what and finding.do

    def test_with_an_empty_object_for_a_folder_is_refused_with_the_remedy(
        self, session: AwsSession, bucket: Names
    ) -> None:
        session.s3.put_object(Bucket=bucket.bucket, Key="m/sub/", Body=b"")
        session.s3.put_object(Bucket=bucket.bucket, Key="m/sub/w", Body=b"x")
        (finding,) = s3.uri_findings(session, f"s3://{bucket.bucket}/m/")
        assert "m/sub/" in finding.what and "delete-object" in finding.do

    def test_that_is_no_address_says_how_to_write_one(self, session: AwsSession) -> None:
        with pytest.raises(AwsError, match="s3://bucket/path"):
            s3.uri_findings(session, "https://example.org/m")
