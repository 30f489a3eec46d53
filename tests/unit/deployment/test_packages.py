"""Packages that no installer can get are refused by their names."""

from pathlib import Path

import pytest

from sageturner_magic.deployment import image_packages as packages
from sageturner_magic.errors import CaptureError, ImageError
from sageturner_magic.packages.pip_arguments import PipArguments, parse_pip_arguments
from sageturner_magic.packages.requirements import Target
from tests.parts.recorder import Recorder
from tests.parts.wheels import make_wheel


def installed(folder: Path, name: str, by: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "INSTALLER").write_text(f"{by}\n")


@pytest.mark.parametrize(("by", "error"), [("conda", CaptureError), ("pip", ImageError)])
def test_what_only_conda_has_is_refused_by_name(by, error, tmp_path, monkeypatch):
    installed(tmp_path, "gdalish", by)
    monkeypatch.syspath_prepend(str(tmp_path))

    def refuses(*_):
        raise ImageError("a package is on none of the indexes", why="gdalish was not found")

    monkeypatch.setattr(packages, "resolve", refuses)
    asked = PipArguments(requirements=("numpy==2.0", "gdalish==1.0"))
    with pytest.raises(error) as raised:
        packages.resolved(asked, Target("3.11"), Recorder())
    assert ("`gdalish` 1.0 was installed by conda" in str(raised.value)) == (by == "conda")


CPU = "--extra-index-url https://download.pytorch.org/whl/cpu"


@pytest.mark.parametrize(
    ("torch", "asked_again"), [("torch==2.9.0+cpu", True), ("torch==2.9.0", False)]
)
def test_an_exact_build_is_looked_for_without_pytorchs_index_where_that_is_out_of_reach(
    torch, asked_again, tmp_path, monkeypatch
):
    asked = []

    def unreachable(arguments, *_):
        asked.append([location.host for location in arguments.extra_indexes])
        if "download.pytorch.org" in asked[-1]:
            raise ImageError("a package index cannot be reached")
        return "from this machine's own"

    monkeypatch.setattr(packages, "resolve", unreachable)
    arguments = parse_pip_arguments(
        [f"{CPU} {torch}", "--extra-index-url https://x.org numpy"], tmp_path
    )
    if asked_again:
        assert packages.resolved(arguments, Target("3.11"), Recorder()) == "from this machine's own"
        assert asked[1:] == [["x.org"]]
    else:
        # What another index calls torch 2.9.0 may be another build.
        with pytest.raises(ImageError, match="cannot be reached"):
            packages.resolved(arguments, Target("3.11"), Recorder())


def test_lines_for_another_machine_bring_the_wheels_of_this_one(tmp_path):
    wheel = make_wheel(tmp_path / "a folder", "mine")
    folder = tmp_path / "export" / "wheels"
    folder.parent.mkdir()
    lines = ("numpy==2.0", f"'{wheel}'", "--extra-index-url https://x.org torch==1")
    assert packages.portable_lines(lines, folder, Recorder()) == [
        "numpy==2.0",
        f"./wheels/{wheel.name}",
        "--extra-index-url https://x.org torch==1",
    ]
    assert (folder / wheel.name).read_bytes() == wheel.read_bytes()


def test_nothing_to_bring_makes_no_folder(tmp_path):
    packages.portable_lines(("numpy==2.0",), tmp_path / "wheels", Recorder())
    assert not list(tmp_path.iterdir())
