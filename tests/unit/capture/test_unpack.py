"""An archive is unpacked inside its folder or not at all."""

import contextlib
import gzip
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sageturner_magic.capture.artefact import unpack as archives
from sageturner_magic.capture.artefact.unpack import unpack
from sageturner_magic.errors import ArtefactError


class Silent:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, float | None]] = []

    def log(self, line: str) -> None: ...

    def progress(self, done: float, total: float | None, unit: str, part: str = "") -> None:
        assert unit == "B"
        self.steps.append((done, total))

    def checkpoint(self) -> None: ...


Member = tuple[str, str, str]
"""Name, kind (a type of tarfile or a letter) and content or target."""


def archive(path: Path, *members: Member) -> Path:
    kinds = {"sym": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "dir": tarfile.DIRTYPE}
    kinds |= {"fifo": tarfile.FIFOTYPE, "device": tarfile.CHRTYPE, "file": tarfile.REGTYPE}
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type = kinds[kind]
            if kind in ("sym", "hard"):
                info.linkname = content
                tar.addfile(info)
            elif kind == "file":
                info.size = len(content.encode())
                tar.addfile(info, io.BytesIO(content.encode()))
            else:
                tar.addfile(info)
    return path


def unpacked(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_files_and_folders_are_unpacked(tmp_path):
    packed = archive(tmp_path / "m.tar.gz", ("./", "dir", ""), ("./a/b.txt", "file", "hello"))
    reporter = Silent()
    unpack(packed, tmp_path / "out", reporter)
    assert unpacked(tmp_path / "out") == {"a/b.txt": "hello"}
    assert reporter.steps[-1] == (5, 5)


def test_links_inside_become_copies(tmp_path):
    packed = archive(
        tmp_path / "m.tar.gz",
        ("latest", "sym", "v2"),
        ("v2/w.bin", "file", "weights"),
        ("v2/alias.bin", "sym", "w.bin"),
        ("again.bin", "hard", "v2/w.bin"),
        ("chain.bin", "sym", "latest/alias.bin"),
    )
    unpack(packed, tmp_path / "out", Silent())
    assert unpacked(tmp_path / "out") == dict.fromkeys(
        ["again.bin", "chain.bin", "latest/alias.bin", "latest/w.bin", "v2/alias.bin", "v2/w.bin"],
        "weights",
    )
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


UNSAFE: list[tuple[Member, str]] = [
    (("../evil", "file", "x"), "`../evil` leads out of the folder"),
    (("a/../../evil", "file", "x"), "leads out of the folder"),
    (("a\\..\\..\\evil", "file", "x"), "leads out of the folder"),
    (("/etc/evil", "file", "x"), "`/etc/evil` has an absolute path"),
    (("C:\\evil", "file", "x"), "has an absolute path"),
    (("l", "sym", "../evil"), "`l` is a link that leads out of the folder (to `../evil`)"),
    (("l", "sym", "/etc/passwd"), "is a link that leads out of the folder (to `/etc/passwd`)"),
    (("l", "hard", "../evil"), "is a link that leads out of the folder"),
    (("d", "device", ""), "`d` is a device or a pipe"),
    (("a/" * 2000 + "b", "file", ""), "lies 2,000 folders deep"),
    ((".", "file", ""), "is a file in the folder's own place"),
    (("p", "fifo", ""), "`p` is a device or a pipe"),
]


@pytest.mark.parametrize(("member", "expected"), UNSAFE)
def test_unsafe_members_are_refused_by_name(tmp_path, member, expected):
    packed = archive(tmp_path / "m.tar.gz", ("ok.txt", "file", "fine"), member)
    with pytest.raises(ArtefactError) as raised:
        unpack(packed, tmp_path / "out", Silent())
    assert expected in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_all_unsafe_members_are_named_at_once(tmp_path):
    packed = archive(tmp_path / "m.tar.gz", *(member for member, _ in UNSAFE))
    with pytest.raises(ArtefactError) as raised:
        unpack(packed, tmp_path / "out", Silent())
    assert len(raised.value.findings) == len(UNSAFE)


@pytest.mark.parametrize(
    "members",
    [
        [("a", "sym", "b"), ("b", "sym", "a")],
        [("a", "sym", "a/b")],
        [("d/x", "file", ""), ("d/up", "sym", "../d")],
        [("a", "sym", "nowhere")],
        [("a", "hard", "nowhere")],
    ],
)
def test_links_in_a_circle_or_to_nowhere_are_refused(tmp_path, members):
    with pytest.raises(ArtefactError, match="lead nowhere or in a circle"):
        unpack(archive(tmp_path / "m.tar.gz", *members), tmp_path / "out", Silent())


def test_a_file_where_a_folder_should_be_is_refused(tmp_path):
    packed = archive(tmp_path / "m.tar.gz", ("a", "file", "x"), ("a/b", "file", "y"))
    with pytest.raises(ArtefactError, match="want the same place"):
        unpack(packed, tmp_path / "out", Silent())


def test_an_empty_archive_is_refused(tmp_path):
    with pytest.raises(ArtefactError, match="is empty"):
        unpack(archive(tmp_path / "m.tar.gz", ("./", "dir", "")), tmp_path / "out", Silent())


@pytest.mark.parametrize("content", [b"", b"not an archive", b"\x1f\x8b\x08" + b"\0" * 40])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "m.tar.gz").write_bytes(content)
    with pytest.raises(ArtefactError, match=r"cannot be read|is empty"):
        unpack(tmp_path / "m.tar.gz", tmp_path / "out", Silent())


def test_a_truncated_archive_is_refused(tmp_path):
    packed = archive(tmp_path / "m.tar.gz", ("a", "file", "".join(map(str, range(9999)))))
    packed.write_bytes(packed.read_bytes()[:-2000])
    with pytest.raises(ArtefactError, match="cannot be read"):
        unpack(packed, tmp_path / "out", Silent())


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_SMALL", 1 << 16)
    packed = archive(tmp_path / "m.tar.gz", ("zeros", "file", "\0" * (1 << 20)))
    with pytest.raises(ArtefactError, match="more than 200 times its size"):
        unpack(packed, tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


def test_links_that_double_again_and_again_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 1000)
    members: list[Member] = [("d0/f", "file", "x")]
    for level in range(1, 20):
        members += [(f"d{level}/{side}", "sym", f"../d{level - 1}") for side in "ab"]
    with pytest.raises(ArtefactError, match="its links unpack to more than 1000 files"):
        unpack(archive(tmp_path / "m.tar.gz", *members), tmp_path / "out", Silent())


names = st.lists(
    st.sampled_from(["a", "b", "..", ".", "", "c d", "é", "\\", "/", "C:"]), min_size=1, max_size=4
).map("/".join)
members_strategy = st.lists(
    st.tuples(names, st.sampled_from(["file", "dir", "sym", "hard"]), names), max_size=6
)


@settings(max_examples=3 * settings().max_examples)
@given(members=members_strategy)
def test_whatever_the_members_nothing_is_written_outside(tmp_path_factory, members):
    root = tmp_path_factory.mktemp("tar")
    packed = archive(root / "m.tar.gz", *[each for each in members if each[0]])
    with contextlib.suppress(ArtefactError):
        unpack(packed, root / "x/out", Silent())
    outside = [
        path
        for path in root.rglob("*")
        if not path.is_relative_to(root / "x/out") and path not in (packed, root / "x")
    ]
    assert outside == []
    assert not any(path.is_symlink() for path in root.rglob("*"))


CONTENTS = {"a.txt": "first", "b/c.txt": "x" * 3000, "d.txt": "last"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "m.tar.gz"
    return archive(path, *((n, "file", text) for n, text in CONTENTS.items())).read_bytes()


def _unpacked(data: bytes, folder: Path) -> dict[str, str] | None:
    """What an archive of these bytes unpacks to; None where it is refused."""
    folder.mkdir()
    (folder / "m.tar.gz").write_bytes(data)
    try:
        unpack(folder / "m.tar.gz", folder / "out", Silent())
    except ArtefactError as error:
        assert "m.tar.gz" in str(error)
        return None
    files = [path for path in (folder / "out").rglob("*") if path.is_file()]
    return {str(path.relative_to(folder / "out")): path.read_text("latin-1") for path in files}


def test_no_flipped_bit_changes_what_is_deployed(tmp_path, whole):
    refused = 0
    for position in range(10, len(whole)):
        data = bytearray(whole)
        data[position] ^= 1 << position % 8
        found = _unpacked(bytes(data), tmp_path / str(position))
        assert found in (None, CONTENTS), position
        refused += found is None
    assert refused > len(whole) / 2


def test_no_cut_archive_is_deployed(tmp_path, whole):
    plain = gzip.decompress(whole)
    for size in range(0, len(whole) - 1, 7):
        assert _unpacked(whole[:size], tmp_path / f"gz{size}") is None, size
    for size in range(0, len(plain) - tarfile.RECORDSIZE, tarfile.BLOCKSIZE):
        # A tar that is not compressed has no checksum: its end mark has to be there.
        assert _unpacked(plain[:size], tmp_path / f"tar{size}") is None, size


def test_a_damaged_archive_says_how_to_test_it(tmp_path, whole):
    path = tmp_path / "my model.tar.gz"
    path.write_bytes(whole[:-20])
    with pytest.raises(ArtefactError) as raised:
        unpack(path, tmp_path / "out", Silent())
    assert f"tar -tf '{path}'" in raised.value.findings[0].do
