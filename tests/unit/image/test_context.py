from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from sageturner_magic import tarball
from sageturner_magic.constants import CHUNK
from sageturner_magic.errors import ImageError
from sageturner_magic.image import context
from sageturner_magic.image.spec import BuildSpec, ProvidedSpec
from sageturner_magic.packages.files import FileStore
from sageturner_magic.packages.requirements import Package, Requirements
from sageturner_magic.packages.source_builds import sha256
from sageturner_magic.tarball import Entry
from sageturner_magic.values import SourceFile
from tests.parts.recorder import Recorder
from tests.parts.wheels import make_wheel
from tests.unit.image.specs import package, spec


def unpacked(built: context.BuildContext) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(built.stream()))) as archive:
        return {member.name: member for member in archive.getmembers()}


def generate(given: BuildSpec, tmp_path: Path) -> context.BuildContext:
    return context.generated(given, FileStore(tmp_path / "files"), Recorder())


def test_the_users_files_lie_in_a_folder_of_their_own(tmp_path: Path) -> None:
    module = replace(
        spec().module,
        files=(SourceFile("sageturner.py", b""), SourceFile("Dockerfile", b"FROM mine")),
    )
    built = generate(replace(spec(), module=module), tmp_path)
    names = unpacked(built)
    assert {"Dockerfile", "program/Dockerfile", "program/sageturner.py"} <= names.keys()
    assert "server/__init__.py" in names
    assert not any("__pycache__" in name for name in names)


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    given = spec(package("numpy", "2.5.5"))
    first, second = generate(given, tmp_path), generate(given, tmp_path)
    assert b"".join(first.stream()) == b"".join(second.stream())
    assert first.tag == second.tag == context.image_tag(given)


def test_every_file_can_be_read_by_any_user_and_belongs_to_root(tmp_path: Path) -> None:
    (tmp_path / "secret.sh").write_text("#!/bin/sh\n")
    (tmp_path / "secret.sh").chmod(0o700)
    (tmp_path / "private.txt").write_text("x")
    (tmp_path / "private.txt").chmod(0o600)
    files = tuple(SourceFile(name, tmp_path / name) for name in ("private.txt", "secret.sh"))
    module = replace(spec().module, files=(SourceFile("sageturner.py", b""), *files))
    members = unpacked(generate(replace(spec(), module=module), tmp_path))
    assert members["program/private.txt"].mode == 0o644
    assert members["program/secret.sh"].mode == 0o755
    assert {(m.uid, m.gid, m.mtime) for m in members.values()} == {(0, 0, tarball.EPOCH)}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"system_packages": ("curl",)},
        {"base_image": "example.org/python:3.12"},
        {"environment": {"A": "1"}},
        {"requirements": Requirements(spec().target, (package("six", "1"),))},
        {"server_requirements": Requirements(spec().target, (package("six", "1"),))},
        {"module": replace(spec().module, files=(SourceFile("sageturner.py", b"changed"),))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_change_of_the_inputs_gives_another_tag(change: dict[str, object]) -> None:
    assert context.image_tag(replace(spec(), **change)) != context.image_tag(spec())  # type: ignore[arg-type]


def test_files_from_guarded_places_are_in_the_context_and_the_dockerfile_copies_them(
    tmp_path: Path,
) -> None:
    wheel = make_wheel(tmp_path / "wheels", "mine")
    mine = Package("mine", "1.0", wheel.as_uri(), sha256(wheel), "", public=False)
    built = generate(spec(mine), tmp_path)
    members = unpacked(built)
    assert members["wheels/mine-1.0-py3-none-any.whl"].size == wheel.stat().st_size
    text = next(entry for entry in built.entries if entry.path == "Dockerfile").content
    assert b'COPY ["wheels/mine-1.0-py3-none-any.whl", "./wheels/"]' in text  # type: ignore[operator]


def test_a_handed_over_file_that_has_changed_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "wheels", "mine")
    mine = Package("mine", "1.0", wheel.as_uri(), "0" * 64, "", public=False)
    with pytest.raises(ImageError, match="not the file that was resolved"):
        generate(spec(mine), tmp_path)


def test_a_large_file_is_streamed_in_pieces(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(3 * CHUNK + 1))
    pieces = [len(piece) for piece in tarball.stream([Entry("large", tmp_path / "large")])]
    assert max(pieces) <= CHUNK
    assert sum(pieces) % tarfile.BLOCKSIZE == 0


def test_a_file_that_changes_while_it_is_sent_stops_the_build(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(b"x")
    stream = tarball.stream([Entry("growing", path)])
    next(stream)
    path.write_bytes(b"xx")
    with pytest.raises(ImageError, match="growing changed while it was read"):
        list(stream)


def test_a_provided_folder_is_taken_as_it_is_but_for_its_dockerignore(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "link").symlink_to("run.sh")
    (tmp_path / ".env").write_text("SECRET=1")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/big").write_text("x")
    (tmp_path / ".dockerignore").write_text("# comment\n.env\ndata\n")
    built = context.provided(ProvidedSpec("digits", tmp_path))
    members = unpacked(built)
    assert sorted(members) == [".dockerignore", "Dockerfile", "link", "run.sh"]
    assert members["run.sh"].mode == 0o755
    assert members["link"].issym()


def test_a_provided_folder_without_dockerfile_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="has no Dockerfile"):
        context.provided(ProvidedSpec("digits", tmp_path))


def test_a_change_in_a_provided_folder_gives_another_tag(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    before = context.provided(ProvidedSpec("digits", tmp_path)).tag
    (tmp_path / "Dockerfile").chmod(0o755)
    changed = context.provided(ProvidedSpec("digits", tmp_path)).tag
    arm = context.provided(ProvidedSpec("digits", tmp_path, "arm64")).tag
    assert len({before, changed, arm}) == 3
