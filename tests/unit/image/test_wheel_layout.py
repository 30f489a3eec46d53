from __future__ import annotations

import csv
import io
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import uv

from sageturner_magic.errors import ImageError
from sageturner_magic.image.layers import wheel_layout
from sageturner_magic.image.layers.wheel_layout import Installed, Layout, installed
from tests.parts.wheels import make_wheel

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
LAYOUT = Layout.environment("opt/venv", VERSION)
SITE = LAYOUT.site


def lay_out(wheel: Path, layout: Layout = LAYOUT) -> dict[str, tuple[bool, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        return {
            file.path: (file.executable, archive.read(file.member) if file.member else file.content)
            for file in installed(wheel, archive, layout)
        }


RICH = {
    "pack/__init__.py": "",
    "pack/data.txt": "text\n",
    "space/part/module.py": "x = 1\n",
    "start.pth": "import sys\n",
    "pack-1.0.data/scripts/run-me": "#!python -E\nprint(1)\n",
    "pack-1.0.data/scripts/shell": "#!/bin/sh\necho 1\n",
    "pack-1.0.data/data/share/pack/notes": "notes\n",
    "pack-1.0.data/headers/pack.h": "int x;\n",
    "pack-1.0.data/purelib/extra.py": "y = 1\n",
}
ENTRY_POINTS = "[console_scripts]\npack = pack:main\nsub = pack.cli:Main.run [extra]\n"


def test_every_part_of_a_wheel_comes_to_its_place(tmp_path: Path) -> None:
    files = lay_out(make_wheel(tmp_path, "pack", files=RICH, entry_points=ENTRY_POINTS))
    assert files[f"{SITE}/space/part/module.py"] == (False, b"x = 1\n")
    assert f"{SITE}/start.pth" in files
    assert files[f"{SITE}/extra.py"][1] == b"y = 1\n"
    assert files["opt/venv/share/pack/notes"][1] == b"notes\n"
    assert files[f"opt/venv/include/site/python{VERSION}/pack/pack.h"][1] == b"int x;\n"
    assert files["opt/venv/bin/run-me"] == (True, b"#!/opt/venv/bin/python\nprint(1)\n")
    assert files["opt/venv/bin/shell"] == (True, b"#!/bin/sh\necho 1\n")
    assert b"from pack.cli import Main\n" in files["opt/venv/bin/sub"][1]
    assert b"sys.exit(Main.run())" in files["opt/venv/bin/sub"][1]


def test_a_folder_of_modules_gets_no_scripts_and_no_data(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "pack", files=RICH, entry_points=ENTRY_POINTS)
    files = lay_out(wheel, Layout.modules_only("opt/sageturner/packages", VERSION))
    assert all(path.startswith("opt/sageturner/packages/") for path in files)
    assert "opt/sageturner/packages/extra.py" in files


def test_record_names_every_file_with_its_hash(tmp_path: Path) -> None:
    files = lay_out(make_wheel(tmp_path, "pack", files=RICH, entry_points=ENTRY_POINTS))
    record = f"{SITE}/pack-1.0.dist-info/RECORD"
    rows = list(csv.reader(io.StringIO(files[record][1].decode())))
    named = {os.path.normpath(f"{SITE}/{path}") for path, _, _ in rows}
    assert named == set(files)
    assert [path for path, digest, _ in rows if not digest] == ["pack-1.0.dist-info/RECORD"]


def test_the_result_is_that_of_another_installer(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "pack", files=RICH, entry_points=ENTRY_POINTS)
    # uv is not pip, whose results are compared in a container; they agree but for wording.
    environment = tmp_path / "environment"
    quiet = {"env": {**os.environ, "UV_OFFLINE": "1"}, "check": True, "capture_output": True}
    program = uv.find_uv_bin()
    subprocess.run([program, "venv", f"--python={sys.executable}", environment], **quiet)  # type: ignore[call-overload]
    before = {path for path in environment.rglob("*") if path.is_file()}
    python = environment / "bin" / "python"
    subprocess.run([program, "pip", "install", f"--python={python}", wheel], **quiet)  # type: ignore[call-overload]
    theirs = {
        path.relative_to(environment).as_posix(): bool(path.stat().st_mode & stat.S_IXUSR)
        for path in environment.rglob("*")
        if path.is_file()
        and path not in before
        and path.name not in ("REQUESTED", "direct_url.json", "uv_cache.json", ".lock")
    }
    ours = {
        path.removeprefix("opt/venv/"): executable
        for path, (executable, _) in lay_out(wheel).items()
    }
    assert ours == theirs


def hostile(tmp_path: Path, *entries: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    wheel = make_wheel(tmp_path, "bad")
    with zipfile.ZipFile(wheel, "a") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return wheel


def link(name: str, target: str) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target.encode()


@pytest.mark.parametrize(
    "name",
    [
        "../escape.py",
        "a/../../escape.py",
        "/etc/passwd",
        "a//b.py",
        "./a.py",
        "C:/windows.py",
        "a\\b.py",
        ".",
        "bad-1.0.data/data/../../../etc/passwd",
    ],
)
def test_a_path_that_climbs_or_is_absolute_is_refused(tmp_path: Path, name: str) -> None:
    info = zipfile.ZipInfo("x")
    info.filename = name
    with pytest.raises(ImageError, match="leads out of its folder"):
        lay_out(hostile(tmp_path, (info, b"")))


def test_a_link_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="a link"):
        lay_out(hostile(tmp_path, link("bad/link", "/etc/passwd")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_path_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="in it twice"):
        lay_out(hostile(tmp_path, ("a.py", b"1"), ("a.py", b"2")))


def test_two_ways_to_one_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="written twice"):
        lay_out(hostile(tmp_path, ("a.py", b"1"), ("bad-1.0.data/purelib/a.py", b"2")))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("c", "c/d"), "/c is a file, and"),
        (("c", "bad-1.0.data/purelib/c/d/e"), "/c is a file, and"),
        (("bad-1.0.data/data/lib", "a.py"), "opt/venv/lib is a file, and"),
        (("bad-1.0.data/data/bin/python/x",), "bin/python is a file, and"),
        (("bad-1.0.data/purelib",), "in a folder's place"),
        (("a/" * 2000 + "b.py",), "is 2,000 folders deep"),
    ],
)
def test_files_that_cannot_lie_beside_each_other_are_refused(
    tmp_path: Path, names: tuple[str, ...], words: str
) -> None:
    with pytest.raises(ImageError, match=words) as caught:
        lay_out(hostile(tmp_path, *((name, b"") for name in names)))
    assert len(str(caught.value)) < 1000


def test_a_bomb_is_refused_before_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel_layout, "MAX_FREE_SIZE", 1 << 20)
    info = zipfile.ZipInfo("zeros.bin")
    info.compress_type = zipfile.ZIP_DEFLATED
    with pytest.raises(ImageError, match="like a bomb"):
        lay_out(hostile(tmp_path, (info, bytes(4 << 20))))


@pytest.mark.parametrize("name", ["python", "python3", f"python{VERSION}"])
def test_the_environments_own_files_cannot_be_replaced(tmp_path: Path, name: str) -> None:
    for place in (f"bad-1.0.data/scripts/{name}", f"bad-1.0.data/data/bin/{name}"):
        with pytest.raises(ImageError, match="belongs to the environment"):
            lay_out(hostile(tmp_path / place.replace("/", "-"), (place, b"")))
    wheel = make_wheel(tmp_path, "worse", entry_points=f"[console_scripts]\n{name} = a:b\n")
    with pytest.raises(ImageError, match="belongs to the environment"):
        lay_out(wheel)


@pytest.mark.parametrize(
    "line", ["../x = a:b", "x = a", "x = a:b; import os", "x = a b:c", "= a:b"]
)
def test_an_entry_point_that_is_not_one_is_refused(tmp_path: Path, line: str) -> None:
    wheel = make_wheel(tmp_path, "bad", entry_points=f"[console_scripts]\n{line}\n")
    with pytest.raises(ImageError, match="entry point"):
        lay_out(wheel)


def test_a_zip_without_metadata_is_no_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "none-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("none.py", "")
    with pytest.raises(ImageError, match="is not a wheel"):
        lay_out(wheel)


def test_files_come_sorted_and_record_last(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "pack", files=RICH)
    with zipfile.ZipFile(wheel) as archive:
        files: list[Installed] = list(installed(wheel, archive, LAYOUT))
    paths = [file.path for file in files]
    assert paths[:-1] == sorted(paths[:-1])
    assert paths[-1].endswith("RECORD")
