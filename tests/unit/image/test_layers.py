from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sageturner_magic.errors import ImageError
from sageturner_magic.image.layers import maker as layers
from sageturner_magic.image.layers.bytecode import Compilers, interpreter
from sageturner_magic.image.layers.cache import IN_USE, LayerCache
from sageturner_magic.image.layers.deflated import TAIL, continued, deflated, new_decoder
from sageturner_magic.image.layers.maker import Layer, LayerMaker, PlannedLayer
from sageturner_magic.image.layers.writer import COPIED_FROM, LayerWriter, Written
from sageturner_magic.image.spec import BuildSpec
from sageturner_magic.packages.files import FileStore
from sageturner_magic.packages.requirements import Package, Target
from sageturner_magic.packages.source_builds import sha256
from sageturner_magic.tarball import Entry
from tests.parts.recorder import Recorder
from tests.parts.wheels import make_wheel
from tests.unit.image.specs import spec

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def unpacked(content: bytes) -> dict[str, bytes]:
    """Path -> content; folders end in a slash. Fails on a path that is there twice."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            name = member.name + ("/" if member.isdir() else "")
            assert name not in found
            found[name] = file.read() if file else b""
    return found


def test_a_layer_is_a_gzipped_tar_with_the_digests_it_says(tmp_path: Path) -> None:
    out = io.BytesIO()
    writer = LayerWriter(out)
    writer.add(Entry("opt/program/a.py", b"x = 1\n"))
    writer.add(Entry("opt/program/link", link="a.py"))
    written = writer.end_layer()
    content = out.getvalue()
    assert unpacked(content)["opt/program/a.py"] == b"x = 1\n"
    assert list(unpacked(content))[:2] == ["opt/", "opt/program/"]
    assert written.digest == hashlib.sha256(content).hexdigest()
    assert written.diff_id == hashlib.sha256(gzip.decompress(content)).hexdigest()
    assert (written.size, written.diff_size) == (len(content), len(gzip.decompress(content)))


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.integers(0, 300_000), min_size=1, max_size=4),
    st.randoms(use_true_random=True),
)
def test_files_of_a_wheel_are_the_same_stored_compressed_or_copied(
    sizes: list[int], chance: random.Random
) -> None:
    files = {
        f"f{n}": chance.choice([chance.randbytes, partial(like_code, chance)])(size)
        for n, size in enumerate(sizes)
    }
    packed, out = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(
                name, content, chance.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
            )
    writer = LayerWriter(out)
    with zipfile.ZipFile(packed) as archive:
        for member in archive.infolist():
            writer.add_member(member.filename, False, packed, archive, member)
    written = writer.end_layer()
    assert unpacked(out.getvalue()) == files
    assert written.digest == hashlib.sha256(out.getvalue()).hexdigest()
    assert hashlib.sha256(only_member(out.getvalue())).hexdigest() == written.diff_id


def like_code(chance: random.Random, size: int) -> bytes:
    """Bytes that compress to about 60 %, as machine code does."""
    words = [chance.randbytes(chance.randint(4, 12)) for _ in range(2000)]
    return b"".join(chance.choices(words, k=size // 4 + 1))[:size]


@pytest.mark.parametrize("level", [1, 6, 9])
def test_a_large_file_of_a_wheel_is_copied_without_compressing_it_again(level: int) -> None:
    content = like_code(random.Random(level), 1 << 20)
    packed, out = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        archive.writestr("f.so", content)
    with zipfile.ZipFile(packed) as archive:
        (member,) = archive.infolist()
        writer = LayerWriter(out)
        writer.add(Entry("before", content[:1000]))
        writer.add_member("f.so", True, packed, archive, member)
        writer.add(Entry("later", content[-1000:]))
        writer.end_layer()
    stored = b"".join(deflated(packed, member))
    assert len(stored) == member.compress_size >= COPIED_FROM
    assert stored[:-TAIL] in out.getvalue()
    found = unpacked(out.getvalue())
    assert found == {"before": content[:1000], "f.so": content, "later": content[-1000:]}
    with tarfile.open(fileobj=io.BytesIO(only_member(out.getvalue()))) as archive_again:
        assert archive_again.getmember("f.so").size == len(content)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE]),
    st.integers(0, 200_000),
    st.randoms(use_true_random=True),
    st.binary(max_size=100),
)
def test_deflated_data_that_continues_gives_what_it_gave(
    level: int, memory: int, strategy: int, size: int, chance: random.Random, more: bytes
) -> None:
    content = like_code(chance, size)
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15, memory, strategy)
    data = compressor.compress(content) + compressor.flush()
    decoder = new_decoder()
    before = decoder.decompress(data[:-TAIL])
    after = decoder.copy().decompress(data[-TAIL:])
    if end := continued(data[-TAIL:], decoder, after):
        last = zlib.compressobj(6, zlib.DEFLATED, -15)
        whole = data[:-TAIL] + end + last.compress(more) + last.flush()
        inflate = zlib.decompressobj(-15)
        assert inflate.decompress(whole) == content + more
        assert inflate.eof and not inflate.unused_data
    assert before + decoder.decompress(data[-TAIL:]) == content


def only_member(content: bytes) -> bytes:
    """What the first gzip member of `content` holds, which has to be the only one."""
    inflate = zlib.decompressobj(31)
    plain = inflate.decompress(content)
    assert inflate.eof and inflate.unused_data == b""
    return plain


@settings(deadline=None)
@given(st.lists(st.lists(st.binary(max_size=3000), max_size=3), max_size=4), st.booleans())
def test_a_layer_of_pieces_is_one_gzip_member_with_each_folder_first(
    pieces: list[list[bytes]], plain_between: bool
) -> None:
    out, wanted = io.BytesIO(), {}
    layer = LayerWriter(out)
    for n, files in enumerate(pieces):
        packed = io.BytesIO()
        piece = LayerWriter(packed)
        piece.begin_piece()
        for m, content in enumerate(files):
            # The same content again and again: a match may not reach across a seam.
            path = f"opt/venv/p{n}/f{m}"
            piece.add(Entry(path, content * 3))
            wanted[path] = content * 3
        written = piece.end_piece()
        layer.add_folders(written.folders)
        packed.seek(0)
        layer.add_piece(packed)
        if plain_between:
            layer.add(Entry(f"opt/between{n}", b"between" * 100))
            wanted[f"opt/between{n}"] = b"between" * 100
    written = layer.end_layer()
    archive = only_member(out.getvalue())
    assert hashlib.sha256(archive).hexdigest() == written.diff_id
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        seen = set()
        for member in tar:
            parent = member.name.rpartition("/")[0]
            assert not parent or parent in seen
            seen.add(member.name)
            if member.isfile():
                file = tar.extractfile(member)
                assert file and file.read() == wanted.pop(member.name)
    assert wanted == {}


@pytest.mark.parametrize("size", [64 << 10, 512 << 10])
@pytest.mark.parametrize("where", ["content", "checksum", "size", "length"])
def test_a_damaged_file_of_a_wheel_is_refused(where: str, size: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("f", like_code(random.Random(1), size))
    damaged = bytearray(packed.getvalue())
    with zipfile.ZipFile(io.BytesIO(damaged)) as archive:
        (member,) = archive.infolist()
        if where == "content":
            damaged[member.compress_size // 2] ^= 0xFF
    file = io.BytesIO(damaged)
    with zipfile.ZipFile(file) as archive:
        (member,) = archive.infolist()
        if where == "checksum":
            member.CRC ^= 1
        if where == "size":
            member.file_size -= 1
        if where == "length":
            member.compress_size -= 100
        with pytest.raises(ImageError, match="is damaged"):
            LayerWriter(io.BytesIO()).add_member("f", False, file, archive, member)


def package_of(wheel: Path) -> Package:
    name, version, *_ = wheel.name.split("-")
    return Package(name.replace("_", "-"), version, wheel.as_uri(), sha256(wheel), "", False)


def spec_of(*wheels: Path) -> BuildSpec:
    given = spec(*map(package_of, wheels), target=Target(VERSION))
    return replace(given, server_requirements=replace(given.server_requirements, packages=()))


def made(given: BuildSpec, folder: Path, compilers: Compilers | None = None) -> list[Layer]:
    maker = LayerMaker(LayerCache(folder / "layers"), FileStore(folder / "files"), compilers)
    return maker.layers(given, Recorder())


def content_of(layer: Layer, folder: Path) -> dict[str, bytes]:
    return unpacked(LayerCache(folder / "layers").blob(layer.written.digest).read_bytes())


def test_small_wheels_share_layers_and_large_ones_have_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "LARGE", 5_000)
    noise = random.Random(1).randbytes(20_000).hex()
    small = [make_wheel(tmp_path / "w", f"small-{n}") for n in range(40)]
    large = make_wheel(tmp_path / "w", "large", files={"large.txt": noise})
    found = made(spec_of(*small, large), tmp_path)
    assert len(found) <= layers.GROUPS + 4
    assert [layer.title for layer in found if "large" in layer.title] == ["large 1.0"]
    everything = {path for layer in found for path in content_of(layer, tmp_path)}
    site = f"opt/venv/lib/python{VERSION}/site-packages"
    assert {f"{site}/small_{n}.py" for n in range(40)} <= everything
    assert "opt/program/sageturner.py" in everything
    assert "opt/sageturner/server/__init__.py" in everything


def test_one_more_dependency_changes_one_layer(tmp_path: Path) -> None:
    wheels = [make_wheel(tmp_path / "w", f"small-{n}") for n in range(40)]
    before = {layer.written.digest for layer in made(spec_of(*wheels[:-1]), tmp_path)}
    after = {layer.written.digest for layer in made(spec_of(*wheels), tmp_path)}
    assert len(after - before) == 1


def test_two_wheels_with_the_same_file_come_in_two_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "GROUPS", 1)
    wheels = [
        make_wheel(tmp_path / "w", name, files={f"{name}.py": "", "tests/__init__.py": f"# {name}"})
        for name in ("one", "two", "three")
    ]
    found = made(spec_of(*wheels), tmp_path)
    holding = [
        layer
        for layer in found
        if any(path.endswith("tests/__init__.py") for path in content_of(layer, tmp_path))
    ]
    assert len(holding) == 3


def test_bytecode_comes_with_the_modules_and_the_same_again(tmp_path: Path) -> None:
    found = interpreter(VERSION)
    assert found
    wheels = [
        make_wheel(tmp_path / "w", "good", files={"good.py": "x = 'a b'\n", "bad.py": "x = = 1\n"}),
        make_wheel(
            tmp_path / "w",
            "other",
            files={"other.py": "def f(a):\n    return a in {'k', 'm', 'n', 1.5}\n"},
        ),
    ]
    compilers = Compilers(found)
    first = made(spec_of(*wheels), tmp_path / "1", compilers)
    again = made(spec_of(*reversed(wheels)), tmp_path / "2", compilers)
    compilers.close()
    assert sorted(layer.written.digest for layer in first) == sorted(
        layer.written.digest for layer in again
    )
    everything = {
        path: content
        for layer in first
        for path, content in content_of(layer, tmp_path / "1").items()
    }
    cached = f"lib/python{VERSION}/site-packages/__pycache__"
    assert f"opt/venv/{cached}/good.{found.tag}.pyc" in everything
    assert f"opt/venv/{cached}/bad.{found.tag}.pyc" not in everything
    assert f"opt/program/__pycache__/sageturner.{found.tag}.pyc" in everything


def test_without_an_interpreter_of_that_version_there_is_no_bytecode(tmp_path: Path) -> None:
    assert interpreter("3.4") is None
    found = made(spec_of(make_wheel(tmp_path / "w", "small")), tmp_path)
    assert not any("pycache" in path for layer in found for path in content_of(layer, tmp_path))


def test_a_plan_knows_the_layers_before_they_are_made_and_where_they_are_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "LARGE", 5_000)
    monkeypatch.setattr(layers, "GROUPS", 1)
    noise = random.Random(1).randbytes(20_000).hex()
    same = {"tests/__init__.py": "x"}
    large = make_wheel(tmp_path / "w", "large", files={"large.txt": noise})
    small = [make_wheel(tmp_path / "w", name, files=same) for name in ("one", "two")]
    given = spec_of(large, *small)
    maker = LayerMaker(LayerCache(tmp_path / "layers"), FileStore(tmp_path / "files"), None)
    before = maker.planned(given)
    assert {(layer.place, layer.digest) for layer in before} == {("nowhere", "")}
    assert all(layer.size for layer in before)
    assert not (tmp_path / "layers").exists() and not (tmp_path / "files").exists()
    found = maker.layers(given, Recorder())
    assert maker.planned(given) == [
        PlannedLayer(layer.title, layer.written.size, f"sha256:{layer.written.digest}", "cache")
        for layer in found
    ]
    assert [layer.title for layer in before] == [
        "the virtual environment", "large 1.0", "one, two", "the model server", "the program",
    ]  # fmt: skip


def write(text: bytes):  # type: ignore[no-untyped-def]
    def into(writer: LayerWriter) -> Written:
        writer.add(Entry("f", text))
        return writer.end_layer()

    return into


def test_a_recipe_is_followed_once(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path)
    first = cache.get_or_write("a", write(b"1"))
    assert cache.get_or_write("a", write(b"2")) == first
    assert cache.get_or_write("b", write(b"2")) != first


def test_a_blob_that_lost_bytes_is_written_again(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path)
    first = cache.get_or_write("a", write(b"1"))
    cache.blob(first.digest).write_bytes(b"short")
    assert cache.get_or_write("a", write(b"1")) == first
    assert cache.is_sound(first)


def test_a_blob_that_was_changed_is_found_out(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path)
    first = cache.get_or_write("a", write(b"1"))
    content = cache.blob(first.digest).read_bytes()
    cache.blob(first.digest).write_bytes(content[:-1] + b"x")
    assert not cache.is_sound(first)
    assert cache.find("a") is None


def test_the_least_recently_used_goes_first_and_nothing_in_use(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path, max_bytes=0)
    old, new = (cache.get_or_write(name, write(name.encode())) for name in ("old", "new"))
    long_ago = time.time() - IN_USE - 60
    os.utime(cache.blob(old.digest), (long_ago, long_ago))
    cache.shrink()
    assert cache.find("old") is None
    assert cache.find("new") == new


def test_many_builds_at_once_share_a_cache(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path)
    with ThreadPoolExecutor(8) as workers:
        found = list(
            workers.map(lambda n: cache.get_or_write("a", write(b"x" * 10_000)), range(32))
        )
    assert len(set(found)) == 1
    assert cache.is_sound(found[0])
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == [found[0].digest]


WRITER = """
import sys
from pathlib import Path
from sageturner_magic.image.layers.cache import LayerCache
from sageturner_magic.tarball import Entry

def write(writer):
    for number in range(100_000):
        writer.add(Entry(f"f{number}", b"x" * 1000))
        if number == 100:
            print("writing", flush=True)
    return writer.end_layer()

LayerCache(Path(sys.argv[1])).get_or_write("a", write)
"""


def test_a_build_that_is_killed_leaves_nothing_that_counts(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE
    ) as program:
        assert program.stdout
        program.stdout.readline()
        program.send_signal(signal.SIGKILL)
    cache = LayerCache(tmp_path)
    assert cache.find("a") is None
    written = cache.get_or_write("a", write(b"1"))
    assert cache.is_sound(written)
    long_ago = time.time() - IN_USE - 60
    for path in (tmp_path / "blobs").iterdir():
        os.utime(path, (long_ago, long_ago))
    cache.shrink()
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == [written.digest]


def test_a_file_in_the_place_of_another_packages_folder_comes_in_another_layer() -> None:
    def piece(name: str, *files: str) -> tuple[Package, Written]:
        above = {each.rpartition("/")[0] + "/" for each in files if "/" in each}
        written = Written("", 0, "", 0, files=files, folders=tuple(above))
        return Package(name, "1", "", "", "", True), written

    one, two, three = piece("one", "site/c"), piece("two", "site/c/d"), piece("three", "site/e")
    for pieces in ((one, two, three), (two, one, three)):
        found = layers._disjoint(pieces)
        assert [[package.name for package, _ in layer] for layer in found] == [
            [pieces[0][0].name, "three"],
            [pieces[1][0].name],
        ]
