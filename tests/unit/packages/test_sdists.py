"""Source distributions become wheels where they are pure Python."""

from __future__ import annotations

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from sageturner_magic.errors import ImageError
from sageturner_magic.packages.files import FileStore
from sageturner_magic.packages.requirements import Package, Requirements, Target
from sageturner_magic.packages.sdists import with_wheels
from sageturner_magic.packages.source_builds import sha256
from tests.parts.recorder import Recorder
from tests.parts.wheels import make_wheel

PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""

BACKEND = """\
import json, os, shutil

TAG = {tag!r}

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    {body}
    name = "{name}-1.0-" + TAG + ".whl"
    shutil.copy(os.path.join(os.path.dirname(__file__), name), wheel_directory)
    return name
"""


def make_sdist(folder: Path, name: str, tag: str = "py3-none-any", body: str = "pass") -> Package:
    """A source distribution whose backend hands out a wheel that lies beside it."""
    wheel = make_wheel(folder / "inside", name, tag=tag)
    files = {
        "pyproject.toml": PROJECT.encode(),
        "backend.py": BACKEND.format(tag=tag, name=name, body=body).encode(),
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        wheel.name: wheel.read_bytes(),
    }
    sdist = folder / f"{name}-1.0.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(f"{name}-1.0/{path}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return Package(name, "1.0", sdist.as_uri(), sha256(sdist), "", public=True, direct=True)


def built(tmp_path: Path, *packages: Package) -> tuple[Requirements, Recorder]:
    recorder = Recorder()
    wanted = Requirements(Target("3.12"), packages)
    return with_wheels(wanted, FileStore(tmp_path / "files"), recorder), recorder


def test_a_pure_one_becomes_a_wheel_that_is_handed_over(tmp_path: Path) -> None:
    found, recorder = built(tmp_path, make_sdist(tmp_path, "old"))
    (package,) = found.packages
    assert package.is_wheel and package.direct and not package.public
    with zipfile.ZipFile(package.url.removeprefix("file://")) as wheel:
        assert "old.py" in wheel.namelist()
    assert any("building a wheel of" in line for line in recorder.lines)


def test_it_is_built_once_and_again_when_its_wheel_is_damaged(tmp_path: Path) -> None:
    sdist = make_sdist(tmp_path, "old")
    first, _ = built(tmp_path, sdist)
    again, recorder = built(tmp_path, sdist)
    assert again == first and recorder.lines == []
    Path(first.packages[0].url.removeprefix("file://")).write_bytes(b"damaged")
    mended, recorder = built(tmp_path, sdist)
    assert mended == first and recorder.lines


def test_wheels_stay_as_they_are(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "new")
    package = Package("new", "1.0", wheel.as_uri(), sha256(wheel), "", public=False)
    found, _ = built(tmp_path, package, make_sdist(tmp_path, "old"))
    assert found.packages[0] == package


def test_the_build_sees_no_credentials_and_no_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "UV_INDEX_PRIVATE_PASSWORD", "NETRC"):
        monkeypatch.setenv(name, "hunter2")
    seen = tmp_path / "seen.json"
    body = f"json.dump(dict(os.environ), open({str(seen)!r}, 'w'))"
    built(tmp_path, make_sdist(tmp_path, "nosy", body=body))
    environment = json.loads(seen.read_text())
    assert "hunter2" not in environment.values()
    assert environment["HOME"] != os.environ["HOME"]
    assert environment["PATH"]


def test_all_that_have_to_be_compiled_or_do_not_build_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        built(
            tmp_path,
            make_sdist(tmp_path, "compiled", tag="cp312-cp312-linux_x86_64"),
            make_sdist(tmp_path, "broken", body="raise SystemExit('no compiler')"),
            make_sdist(tmp_path, "fine"),
        )
    compiled, broken = caught.value.findings
    assert compiled.what == "compiled 1.0 has no wheel for linux/amd64 and Python 3.12"
    assert "has parts that are compiled" in compiled.why
    assert "builder: docker" in compiled.do and compiled.where == "python_packages"
    assert broken.what.startswith("broken 1.0 has no wheel")
    assert "no compiler" in broken.details
