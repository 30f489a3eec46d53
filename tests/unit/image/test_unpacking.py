"""Layers become the folder that an engine would show a container."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from zlib_ng import gzip_ng

from sageturner_magic.errors import ImageError
from sageturner_magic.image.layers import unpacking
from sageturner_magic.image.layers.unpacking import PackedLayer, UnpackedLayers
from tests.parts.recorder import Recorder


def member(name: str, content: str = "", mode: int = 0o644, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.size, info.mtime = mode, len(content), 1_000_000_000
    info.pax_headers = {"content": content}
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def folder(name: str, mode: int = 0o755) -> tarfile.TarInfo:
    return member(name, mode=mode, type=tarfile.DIRTYPE)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    return member(name, type=kind, linkname=target)


def packed(*members: tarfile.TarInfo, reads: list[str] | None = None) -> PackedLayer:
    """A layer of `members`; in two gzip members, because ours have many."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for each in members:
            content = each.pax_headers.pop("content").encode()
            archive.addfile(each, io.BytesIO(content))
    raw = plain.getvalue()
    compressed = gzip_ng.compress(raw[:700]) + gzip_ng.compress(raw[700:])

    def read() -> Iterator[bytes]:
        if reads is not None:
            reads.append("read")
        yield compressed[:10]
        yield compressed[10:]

    return PackedLayer(f"sha256:{hashlib.sha256(raw).hexdigest()}", "a layer", read)


Unpack = Callable[..., Path]


@pytest.fixture
def unpack(tmp_path: Path) -> Unpack:
    def unpack(*layers: PackedLayer) -> Path:
        return UnpackedLayers(tmp_path / "unpacked").image(layers, Recorder())

    return unpack


def tree(root: Path) -> dict[str, str]:
    """Path -> content, link target or `/`."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = "/" if path.is_dir() else path.read_text()
    return found


def test_an_upper_layer_adds_replaces_and_removes(unpack: Unpack) -> None:
    lower = packed(
        folder("etc"),
        member("etc/kept", "kept"),
        member("etc/changed", "old"),
        member("etc/removed", "x"),
        member("var/cache/old", "x"),
        member("srv/data/file", "x"),
    )
    upper = packed(
        member("etc/changed", "new"),
        member("etc/.wh.removed"),
        member("etc/added", "added"),
        member("var/cache/.wh..wh..opq"),
        member("var/cache/new", "y"),
        member(".wh.srv"),
    )
    assert tree(unpack(lower, upper)) == {
        "etc": "/",
        "etc/added": "added",
        "etc/changed": "new",
        "etc/kept": "kept",
        "var": "/",
        "var/cache": "/",
        "var/cache/new": "y",
    }


@pytest.mark.parametrize(
    "name",
    ["a/.wh..", "a/.wh...", "a/.wh.", ".wh...", "a/b/.wh.../c", "./.wh..", "x/../a/.wh..."],
)
def test_what_would_remove_a_folder_above_is_refused(
    unpack: Unpack, tmp_path: Path, name: str
) -> None:
    lower = packed(member("a/b/kept", "kept"))
    root = unpack(lower)
    with pytest.raises(ImageError, match="would remove more than one"):
        unpack(lower, packed(member(name)))
    with pytest.raises(ImageError, match="would remove more than one"):
        unpack(lower, packed(folder(name)))
    assert tree(root)["a/b/kept"] == "kept"


def test_a_name_that_only_begins_as_a_removal_is_removed_alone(unpack: Unpack) -> None:
    lower = packed(member("a/...", "x"), member("a/..b", "x"), member("a/c", "c"))
    assert tree(unpack(lower, packed(member("a/.wh...."), member("a/.wh...b")))) == {
        "a": "/",
        "a/c": "c",
    }


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ((member("a/" * 2000 + "b"),), "is 2,000 folders deep"),
        ((folder("a/" * 2000),), "folders deep"),
        ((member("a\0b", pax_headers={"content": "", "path": "a\0b"}),), "null character"),
        ((link("a", ""),), "is a link to ''"),
    ],
)
def test_a_path_that_no_file_can_have_is_named(
    unpack: Unpack, members: tuple[tarfile.TarInfo, ...], words: str
) -> None:
    with pytest.raises(ImageError, match=words) as caught:
        unpack(packed(*members))
    assert len(str(caught.value)) < 1000


def test_names_that_are_not_utf_8_are_kept(unpack: Unpack) -> None:
    name = os.fsdecode(b"\xff.txt")
    assert tree(unpack(packed(member(name, "x")))) == {name: "x"}


def test_links_and_folders_replace_each_other(unpack: Unpack) -> None:
    lower = packed(link("lib", "usr/lib"), member("usr/lib/a", "a"), folder("data"), link("x", "y"))
    upper = packed(member("lib/b", "b"), link("data", "/srv"), member("x", "file"))
    assert tree(unpack(lower, upper)) == {
        "data": "-> /srv",
        "lib": "/",
        "lib/b": "b",
        "usr": "/",
        "usr/lib": "/",
        "usr/lib/a": "a",
        "x": "file",
    }


def test_modes_times_and_hard_links_are_kept_and_privileges_are_not(unpack: Unpack) -> None:
    root = unpack(
        packed(
            folder("bin", 0o555),
            member("bin/tool", "#!", 0o4755),
            link("bin/same", "bin/tool", tarfile.LNKTYPE),
            member("bin/secret", "s", 0o200),
            member("bin/null", type=tarfile.CHRTYPE),
        )
    )
    tool = (root / "bin" / "tool").stat()
    assert (tool.st_mode & 0o7777, tool.st_mtime) == (0o755, 1_000_000_000)
    assert (root / "bin" / "same").read_text() == "#!"
    assert (root / "bin").stat().st_mode & 0o777 == 0o755
    assert (root / "bin" / "secret").stat().st_mode & 0o777 == 0o600
    assert not (root / "bin" / "null").exists()


def test_a_layer_is_read_once_whatever_images_it_is_part_of(unpack: Unpack) -> None:
    reads: list[str] = []
    base = packed(member("a", "base"), reads=reads)
    first = unpack(base, packed(member("b", "1")))
    assert unpack(base, packed(member("b", "1"))) == first
    second = unpack(base, packed(member("b", "2")))
    assert reads == ["read"]
    assert (first / "b").read_text() == "1" and (second / "b").read_text() == "2"
    assert (first / "a").stat().st_ino == (second / "a").stat().st_ino


@pytest.mark.parametrize(
    "members",
    [
        (member("../escaped", "x"),),
        (member("a/../../escaped", "x"),),
        (link("a", "/tmp"), member("a/escaped", "x")),
        (link("a", ".."), member("a/escaped", "x")),
        (member("a", "x"), member("a/b", "y")),
        (folder("a"), member("a", "x")),
        (link("a", "../../etc/passwd", tarfile.LNKTYPE),),
        (link("s", "/etc/passwd"), link("a", "s", tarfile.LNKTYPE)),
    ],
)
def test_a_layer_that_would_leave_its_folder_is_refused(
    unpack: Unpack, tmp_path: Path, members: tuple[tarfile.TarInfo, ...]
) -> None:
    with pytest.raises(ImageError, match="cannot be unpacked"):
        unpack(packed(*members))
    assert not list(tmp_path.rglob("escaped"))


def test_an_absolute_path_stays_below_the_root(unpack: Unpack) -> None:
    assert tree(unpack(packed(member("/etc/x", "x"), member("./y", "y")))) == {
        "etc": "/",
        "etc/x": "x",
        "y": "y",
    }


def test_other_content_than_the_configuration_says_is_refused_and_leaves_nothing(
    unpack: Unpack, tmp_path: Path
) -> None:
    layer = packed(member("a", "x"))
    other = PackedLayer(f"sha256:{'0' * 64}", layer.title, layer.read)
    with pytest.raises(ImageError, match="is not what the image's configuration says"):
        unpack(other)
    assert not list((tmp_path / "unpacked" / "layers").iterdir())
    assert (unpack(layer) / "a").read_text() == "x"


def test_what_nobody_used_for_long_goes_unless_it_runs(
    unpack: Unpack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, unused = unpack(packed(member("a", "1"))), unpack(packed(member("a", "2")))
    with running.with_name(f"{running.name}.lock").open() as lock:
        unpacking.fcntl.flock(lock, unpacking.fcntl.LOCK_SH)
        for path in (tmp_path / "unpacked").glob("*/*"):
            os.utime(path, (0, 0))
        fresh = unpack(packed(member("a", "3")))
        assert (running / "a").read_text() == "1"
        assert not unused.exists()
        assert (fresh / "a").read_text() == "3"
    assert (unpack(packed(member("a", "2"))) / "a").read_text() == "2"
