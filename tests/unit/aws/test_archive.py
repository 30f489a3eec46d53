"""model.tar.gz: the same bytes for the same content, and no links."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.stub import Stubber
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sageturner_magic.aws.session import AwsSession
from sageturner_magic.aws.storage import archive
from sageturner_magic.aws.storage.s3 import archive_bytes
from sageturner_magic.errors import ArtefactError


def packed(folder: Path) -> bytes:
    return b"".join(piece for piece, _ in archive.pack(folder))


def unpacked(data: bytes) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        for member in tar:
            file = tar.extractfile(member)
            found[member.name] = file.read() if file else None
    return found


NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=120
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(NAMES, st.binary(max_size=3000), max_size=6), NAMES)
def test_what_is_packed_is_what_comes_out(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], folder: str
) -> None:
    root = tmp_path_factory.mktemp("model")
    (root / folder).mkdir()
    for name, content in files.items():
        (root / folder / name).write_bytes(content)
    expected = {f"{folder}/{name}": content for name, content in files.items()}
    assert unpacked(packed(root)) == {folder: None, **expected}


def test_owner_time_and_order_of_writing_do_not_show(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    for folder, names in ((first, "abc"), (second, "cba")):
        folder.mkdir()
        for name in names:
            (folder / name).write_text(name * 100)
            os.utime(folder / name, (int(folder.name) * 1000, 5))
    assert packed(first) == packed(second)


def test_the_executable_bit_stays_and_everybody_may_read(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("x")
    (tmp_path / "run").chmod(0o700)
    (tmp_path / "data").write_text("x")
    (tmp_path / "data").chmod(0o600)
    with tarfile.open(fileobj=io.BytesIO(packed(tmp_path))) as tar:
        assert {m.name: oct(m.mode) for m in tar} == {"run": "0o755", "data": "0o644"}


def test_links_become_what_they_lead_to(tmp_path: Path) -> None:
    outside = tmp_path / "cache"
    outside.mkdir()
    (outside / "w.bin").write_bytes(b"weights")
    model = tmp_path / "model"
    model.mkdir()
    (model / "w.bin").symlink_to(outside / "w.bin")
    (model / "all").symlink_to(outside)
    os.link(outside / "w.bin", model / "hard.bin")
    assert unpacked(packed(model)) == {
        "all": None,
        "all/w.bin": b"weights",
        "hard.bin": b"weights",
        "w.bin": b"weights",
    }


def test_a_link_in_a_circle_and_one_to_nowhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    with pytest.raises(ArtefactError, match="leads back"):
        packed(tmp_path)
    (tmp_path / "sub" / "up").unlink()
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    with pytest.raises(ArtefactError, match="leads nowhere"):
        packed(tmp_path)


@pytest.mark.parametrize("content", [b"longer than before", b"x"])
def test_a_file_that_changes_while_it_is_packed_is_noticed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_text("first")
    (tmp_path / "b").write_text("second")
    pieces = archive.pack(tmp_path)
    next(pieces)
    (tmp_path / "b").write_bytes(content)
    with pytest.raises(ArtefactError, match="b changed while it was read"):
        list(pieces)


def test_weights_that_do_not_compress_are_stored(tmp_path: Path) -> None:
    random = os.urandom(6 << 20)
    (tmp_path / "w").write_bytes(random)
    data = packed(tmp_path)
    assert unpacked(data) == {"w": random}
    # Deflate's own stored blocks: the content is found as it is.
    assert random[1000:2000] in data


def test_text_is_compressed_and_the_pieces_stay_small(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"the same again " * (1 << 20))
    pieces = list(archive.pack(tmp_path))
    assert sum(len(piece) for piece, _ in pieces) < 1 << 20
    assert sum(read for _, read in pieces) == 15 << 20
    assert max(read for _, read in pieces) <= 1 << 20


def test_an_empty_folder_is_a_valid_archive(tmp_path: Path) -> None:
    data = packed(tmp_path)
    assert unpacked(data) == {}
    assert len(gzip.decompress(data)) % tarfile.RECORDSIZE == 0


def test_the_size_of_an_archive_in_s3_is_known_if_it_may_be_read(
    session: AwsSession, stub: Callable[[object], Stubber]
) -> None:
    stubber = stub(session.s3)
    asked = {"Bucket": "models", "Key": "digits/model.tar.gz"}
    stubber.add_response("head_object", {"ContentLength": 6 << 30}, asked)
    stubber.add_client_error("head_object", "403", "Forbidden", expected_params=asked)
    uri = "s3://models/digits/model.tar.gz"
    assert [archive_bytes(session, uri) for _ in range(2)] == [6 << 30, 0]
