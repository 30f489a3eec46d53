"""A model's folder in a container is what SageMaker would unpack there."""

from __future__ import annotations

from pathlib import Path

import pytest

from sageturner_magic.endpoints.model_dir import as_unpacked, copy_artefact
from sageturner_magic.values import Artefact
from tests.parts.recorder import Recorder


def modes(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.lstat().st_mode & 0o777
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A snapshot in a model hub's cache: links, a file for its owner only, an empty folder."""
    blobs, other = tmp_path / "blobs", tmp_path / "other"
    folder = tmp_path / "snapshot"
    for made in (blobs, other, folder / "empty", folder / "own"):
        made.mkdir(parents=True)
    (blobs / "abc").write_text("weights")
    (other / "words.txt").write_text("words")
    (folder / "model.safetensors").symlink_to(blobs / "abc")
    (folder / "tokenizer").symlink_to(other)
    (folder / "own" / "secret").write_text("own")
    (folder / "own" / "secret").chmod(0o600)
    (folder / "own" / "tool").write_text("#!/bin/sh\n")
    (folder / "own" / "tool").chmod(0o700)
    (folder / "plain").write_text("plain")
    return folder


UNPACKED = {
    "empty": 0o755, "model.safetensors": 0o644, "own": 0o755, "own/secret": 0o644,
    "own/tool": 0o755, "plain": 0o644, "tokenizer": 0o755, "tokenizer/words.txt": 0o644,
}  # fmt: skip


def test_links_become_files_and_all_may_read_them(hub: Path, tmp_path: Path) -> None:
    before = modes(hub)
    made = as_unpacked(hub, tmp_path / "staging")
    assert made == tmp_path / "staging"
    assert modes(made) == UNPACKED
    assert (made / "model.safetensors").read_text() == "weights"
    assert (made / "tokenizer" / "words.txt").read_text() == "words"
    assert modes(hub) == before


def test_what_is_right_is_not_copied(hub: Path, tmp_path: Path) -> None:
    made = as_unpacked(hub, tmp_path / "staging")
    assert (made / "plain").samefile(hub / "plain")
    assert as_unpacked(made, tmp_path / "again") == made
    assert not (tmp_path / "again").exists()


def test_a_local_endpoint_gets_a_copy_of_the_same_kind(hub: Path, tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir(mode=0o700)
    reporter = Recorder()
    copy_artefact(Artefact(hub, "", 30, 5), target, reporter)
    assert modes(target) == UNPACKED
    assert target.stat().st_mode & 0o777 == 0o755
    (hub / "plain").write_text("changed")
    assert (target / "plain").read_text() == "plain"
