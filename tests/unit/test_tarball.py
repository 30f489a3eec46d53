"""Archives: the same bytes for the same content, in every version of this package."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from sageturner_magic import tarball
from sageturner_magic.aws.storage import archive
from sageturner_magic.errors import ArtefactError, ImageError
from sageturner_magic.image.layers.writer import LayerWriter
from sageturner_magic.tarball import Entry

LONG = "a-name-of-more-than-a-hundred-bytes/" * 3 + "modèle.bin"


def entries(folder: Path) -> list[Entry]:
    """One of each kind, of sizes around a block and a chunk."""
    (folder / "large").write_bytes(bytes(range(256)) * 5000)
    return [
        Entry("empty", b""),
        Entry("run", b"#!/bin/sh\n", executable=True),
        Entry("folder/"),
        Entry("folder/link", link="../run"),
        Entry("block", bytes(512)),
        Entry(LONG, b"x" * 513),
        Entry("large", folder / "large"),
    ]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_bytes_of_a_build_context_stay_the_same(tmp_path: Path) -> None:
    data = b"".join(tarball.stream(entries(tmp_path)))
    assert sha256(data) == "687812376e8740e07bb26adc6e09966ff846919f9c9c60876823687d2fc1f9f0"
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert {member.mtime for member in tar} == {tarball.EPOCH}


def test_the_bytes_of_a_layer_stay_the_same(tmp_path: Path) -> None:
    out = io.BytesIO()
    writer = LayerWriter(out)
    for entry in entries(tmp_path):
        if not entry.path.endswith("/"):
            writer.add(entry)
    layer = writer.end_layer()
    assert layer.diff_id == sha256(gzip.decompress(out.getvalue()))
    assert layer.diff_id == "13a2a6632f1c859530ff9f0179d37a717454579e607c6eb97b1446e3fc90dd14"


def test_the_bytes_of_an_artefact_stay_the_same(tmp_path: Path) -> None:
    for entry in entries(tmp_path):
        place = tmp_path / entry.path
        if entry.link:
            place.symlink_to(entry.link)
        elif entry.path.endswith("/"):
            place.mkdir()
        elif isinstance(entry.content, bytes):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(entry.content)
            place.chmod(0o700 if entry.executable else 0o600)
    data = b"".join(piece for piece, _ in archive.pack(tmp_path))
    digest = sha256(gzip.decompress(data))
    assert digest == "94e685170e9b45c41885b8d2d611ac791f7e8086cbd070a35f51c7db3ab2c597"


@pytest.mark.parametrize("now", [b"longer than before", b"x"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, now: bytes) -> None:
    path = tmp_path / "b"
    path.write_bytes(now)
    for error in (ArtefactError, ImageError):
        with pytest.raises(error, match="weights changed while it was read") as raised:
            list(tarball.content(Entry("weights", path), 6, error))
        assert raised.value.findings[0].where == str(path)


def test_no_more_of_a_file_that_grows_is_passed_on_than_it_had(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(bytes(3 << 20))
    passed = 0
    with pytest.raises(ImageError):
        for chunk in tarball.content(Entry("log", path), 2 << 20):
            passed += len(chunk)
            with path.open("ab") as file:
                file.write(os.urandom(1 << 20))
    assert passed == 2 << 20
