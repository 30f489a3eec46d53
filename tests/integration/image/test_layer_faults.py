"""Builds that meet a full disk, are killed or meet each other: the next one is right."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sageturner_magic.errors import ImageError
from sageturner_magic.image.layers.builder import LayersBuilder
from sageturner_magic.image.layers.cache import LayerCache
from sageturner_magic.image.spec import BuildSpec
from sageturner_magic.packages.files import FileStore
from sageturner_magic.packages.requirements import Package, Requirements, Target
from sageturner_magic.packages.source_builds import sha256
from sageturner_magic.values import CapturedModule, Credentials, SourceFile
from tests.parts import base_image
from tests.parts.recorder import Recorder
from tests.parts.registry import Registry
from tests.parts.wheels import make_wheel

pytestmark = [pytest.mark.docker, pytest.mark.registry]

BUILD = """
import sys
from pathlib import Path
from tests.integration.image.test_layer_faults import builder_in, read_spec
from tests.parts.recorder import Recorder

folder, user, password, spec = sys.argv[1:]
builder = builder_in(Path(folder), user, password)
print(builder.build(read_spec(spec), Recorder()).reference)
"""


def builder_in(folder: Path, user: str, password: str) -> LayersBuilder:
    return LayersBuilder(
        LayerCache(folder / "layers"),
        FileStore(folder / "files"),
        lambda host: Credentials(user, password),
    )


def read_spec(path: str) -> BuildSpec:
    told = json.loads(Path(path).read_text())
    packages = []
    for url in told["wheels"]:
        wheel = Path(url.removeprefix("file://"))
        name, version, *_ = wheel.name.split("-")
        packages.append(Package(name, version, url, sha256(wheel), "", public=False))
    target = Target("3.12")
    return BuildSpec(
        "faults",
        CapturedModule("In[1]", (SourceFile("sageturner.py", b"def load(): return 1\n"),)),
        Requirements(target, tuple(packages)),
        Requirements(target, ()),
        base_image=told["base"],
    )


@pytest.fixture(scope="session")
def base_reference(served: Registry) -> str:
    return base_image.push("3.12", served)


@pytest.fixture
def spec(tmp_path: Path, base_reference: str) -> Path:
    """A specification with wheels of 1 to 8 MB, in a file."""
    chance = random.Random(1)
    wheels = [
        make_wheel(
            tmp_path / "wheels",
            f"noise{size}",
            files={f"noise{size}.txt": chance.randbytes(size * 700_000).hex()},
        )
        for size in (1, 2, 4, 8)
    ]
    told = {"base": base_reference, "wheels": [wheel.as_uri() for wheel in wheels]}
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(told))
    return path


@pytest.fixture
def expected(tmp_path: Path, spec: Path, served: Registry) -> str:
    """What the image is when nothing goes wrong."""
    builder = builder_in(tmp_path / "undisturbed", served.user, served.password)
    return Path(builder.build(read_spec(str(spec)), Recorder()).reference).read_text()


def start(folder: Path, spec: Path, served: Registry) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILD, str(folder), served.user, served.password, str(spec)]
    root = str(Path(__file__).parents[3])
    return subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)])
    if mounted.returncode:
        pytest.skip("a file system can be mounted by root only")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_said_so_and_with_more_room_the_build_goes_on(
    small_disk: Path, spec: Path, expected: str, served: Registry
) -> None:
    builder = builder_in(small_disk, served.user, served.password)
    with pytest.raises(ImageError, match="the disk is full") as raised:
        builder.build(read_spec(str(spec)), Recorder())
    assert str(small_disk) in str(raised.value) and "XDG_CACHE_HOME" in str(raised.value)
    made = {path.name for path in (small_disk / "layers" / "blobs").iterdir()}
    assert made and not any(name.startswith(".part") for name in made)
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    recorder = Recorder()
    image = builder.build(read_spec(str(spec)), recorder)
    assert Path(image.reference).read_text() == expected
    assert sum("laying out" in line for line in recorder.lines) < 4


def test_a_build_that_is_killed_at_any_moment_is_finished_by_the_next(
    tmp_path: Path, spec: Path, expected: str, served: Registry
) -> None:
    folder = tmp_path / "killed"
    for number in range(6):
        running = start(folder, spec, served)
        # Once the first has begun to write, the others are killed a little later each.
        deadline = time.monotonic() + 60
        while not list(folder.glob("layers/blobs/*")) and running.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.15 * number)
        running.kill()
        running.communicate()
    builder = builder_in(folder, served.user, served.password)
    image = builder.build(read_spec(str(spec)), Recorder())
    assert Path(image.reference).read_text() == expected


def test_two_builds_at_once_make_the_same_image(
    tmp_path: Path, spec: Path, expected: str, served: Registry
) -> None:
    both = [start(tmp_path / "shared", spec, served) for _ in range(2)]
    for each in both:
        out, err = each.communicate(timeout=120)
        assert each.returncode == 0, err
        assert Path(out.strip()).read_text() == expected
    assert not list((tmp_path / "shared" / "layers" / "blobs").glob(".part*"))


def test_damaged_pieces_and_layers_are_made_anew(
    tmp_path: Path, spec: Path, expected: str, served: Registry
) -> None:
    folder = tmp_path / "damaged"
    builder = builder_in(folder, served.user, served.password)
    builder.build(read_spec(str(spec)), Recorder())
    chance = random.Random(2)
    for blob in (folder / "layers" / "blobs").iterdir():
        content = blob.read_bytes()
        blob.write_bytes(content[: chance.randrange(len(content))])
    for note in (folder / "layers" / "index").iterdir():
        if chance.random() < 0.5:
            note.write_text("{")
    image = builder.build(read_spec(str(spec)), Recorder())
    assert Path(image.reference).read_text() == expected
