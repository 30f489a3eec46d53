"""System libraries that wheels need are found in the wheels, with their Debian packages."""

import hashlib
import importlib.metadata
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sageturner_magic.packages.files import FileStore
from sageturner_magic.packages.libraries import debian_packages, missing_libraries
from sageturner_magic.packages.libraries.elf import SharedObject, read_shared_object
from sageturner_magic.packages.requirements import Package, Requirements, Target
from tests.parts.recorder import Recorder

from .elf import elf


def wheel(folder: Path, name: str, **files: bytes) -> Package:
    path = folder / f"{name}-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, content in files.items():
            archive.writestr(file, content)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Package(name, "1.0", path.as_uri(), digest, "", False, size=path.stat().st_size)


def missing(folder: Path, *packages: Package, most_fetched: int = 0) -> dict[str, tuple[str, ...]]:
    requirements = Requirements(Target("3.12"), packages)
    store = FileStore(folder / "store")
    found = missing_libraries(requirements, store, Recorder(), most_fetched=most_fetched)
    return {each.package: each.libraries for each in found}


def test_what_a_shared_library_needs_is_read():
    made = read_shared_object(io.BytesIO(elf("libGL.so.1", "libc.so.6", name="libcv.so.4")))
    assert made == SharedObject("libcv.so.4", ("libGL.so.1", "libc.so.6"))


@pytest.mark.parametrize("content", [b"", b"text", b"\x7fELF\x02\x01", elf("libc.so.6")[:200]])
def test_other_and_damaged_files_are_none(content):
    assert read_shared_object(io.BytesIO(content)) is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads a library of Linux")
def test_a_real_library_is_read():
    files = importlib.metadata.files("numpy")
    path = next(each for each in files if "_multiarray_umath.c" in each.name)
    with Path(path.locate()).open("rb") as file:
        made = read_shared_object(file)
    assert np and made is not None and "libc.so.6" in made.needed


def test_what_neither_the_wheels_nor_the_image_have_is_missing(tmp_path):
    cv = wheel(
        tmp_path,
        "cv",
        **{
            "cv/cv.abi3.so": elf("libGL.so.1", "libQt5-1234.so.5", "libc.so.6", "libstdc++.so.6"),
            "cv/qt/plugins/libqxcb.so": elf("libQtXcb-12.so.5"),
            "cv.libs/libQtXcb-12.so.5": elf("libxcb.so.1"),
            "cv.libs/libssl-12.so.1.1.1k": elf("libc.so.6"),
            "cv.libs/libQt5-1234.so.5": elf(
                "libssl-12.so.1.1.1k", "libgthread-2.0.so.0", "libother.so.2", "libz.so.1"
            ),
        },
    )
    other = wheel(tmp_path, "other", **{"other/lib/libother.so": elf(name="libother.so.2")})
    assert missing(tmp_path, cv, other) == {"cv": ("libGL.so.1", "libgthread-2.0.so.0")}


def test_libraries_of_drivers_and_optional_back_ends_are_not_asked_for(tmp_path):
    files = {
        "numba/np/ufunc/omppool.cpython-312-x86_64-linux-gnu.so": elf("libgomp.so.1"),
        "x/a.so": elf("libcuda.so.1", "libnvinfer.so.10", "libavcodec.so.60", "libamdhip64.so.6"),
    }
    assert missing(tmp_path, wheel(tmp_path, "x", **files)) == {}


def test_a_wheel_is_read_once_and_only_if_it_is_here_or_small(tmp_path):
    known = wheel(tmp_path, "x", **{"x/a.so": elf("libgomp.so.1")})
    assert missing(tmp_path, known) == {"x": ("libgomp.so.1",)}
    (tmp_path / known.file).unlink()
    assert missing(tmp_path, known) == {"x": ("libgomp.so.1",)}
    far = Package(
        "y", "1", "https://127.0.0.1:9/y-1-cp312-cp312-linux_x86_64.whl", "0" * 64, "", True
    )
    assert missing(tmp_path, far, most_fetched=10**9) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="has an environment of Linux")
def test_the_same_version_as_here_is_not_fetched(tmp_path, monkeypatch):
    info = tmp_path / "boost-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: boost\nVersion: 1.0\n")
    (info / "RECORD").write_text("boost/lib_boost.so,,\n")
    (tmp_path / "boost").mkdir()
    (tmp_path / "boost" / "lib_boost.so").write_bytes(elf("libgomp.so.1"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    url = "https://127.0.0.1:9/boost-1.0-py3-none-manylinux_2_28_x86_64.whl"
    assert missing(tmp_path, Package("boost", "1.0", url, "0" * 64, "", True)) == {
        "boost": ("libgomp.so.1",)
    }
    assert missing(tmp_path, Package("boost", "1.1", url, "0" * 64, "", True)) == {}


def test_debians_names_follow_its_policy():
    libraries = [
        "libGL.so.1",
        "libX11.so.6",
        "libglib-2.0.so.0",
        "libgthread-2.0.so.0",
        "libgomp.so.1",
        "libusb-1.0.so.0",
        "libwithout_version.so",
    ]
    assert debian_packages(libraries) == (
        ("libgl1", "libx11-6", "libglib2.0-0", "libgomp1", "libusb-1.0-0"),
        ("libwithout_version.so",),
    )
