"""Resolving, with uv itself and small wheels from a folder, without a network."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sageturner_magic.errors import ImageError
from sageturner_magic.packages.pip_arguments import parse_pip_arguments
from sageturner_magic.packages.requirements import Package, Requirements, Target
from sageturner_magic.packages.resolution import MAX_AGE, SERVER_PACKAGES, resolve, server_arguments
from sageturner_magic.values import Credentials
from tests.parts.recorder import Recorder
from tests.parts.wheels import make_wheel

TARGET = Target("3.12")


@pytest.fixture(autouse=True)
def machine_without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sageturner_magic.packages.machine.pip_configuration", dict)
    for name in list(os.environ):
        if name.startswith("UV_"):
            monkeypatch.delenv(name)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    return tmp_path / "wheels"


def lock(folder: Path, *entries: str, target: Target = TARGET) -> Requirements:
    arguments = parse_pip_arguments(["--no-index --find-links wheels", *entries], folder)
    return resolve(arguments, target, Recorder(), folder / "cache")


def test_every_package_is_exact_and_says_who_needs_it(tmp_path: Path, wheels: Path) -> None:
    make_wheel(wheels, "model-tools", "2.1", requires=["small>=1"])
    make_wheel(wheels, "small", "1.5")
    make_wheel(wheels, "small", "0.9")
    found = lock(tmp_path, "model_tools>=2")
    assert [(p.name, p.version, p.direct, p.needed_by) for p in found.packages] == [
        ("model-tools", "2.1", True, ()),
        ("small", "1.5", False, ("model-tools",)),
    ]
    assert all(f"--hash=sha256:{package.sha256}" in found.text() for package in found.packages)


def test_the_wheel_is_chosen_for_the_image_and_not_for_this_machine(
    tmp_path: Path, wheels: Path
) -> None:
    for tag in (
        "cp312-cp312-manylinux_2_28_x86_64",
        "cp312-cp312-manylinux_2_28_aarch64",
        "cp311-cp311-manylinux_2_28_x86_64",
        "cp312-cp312-macosx_11_0_arm64",
        "cp312-cp312-win_amd64",
    ):
        make_wheel(wheels, "fast", tag=tag)
    for target, tag in (
        (Target("3.12"), "cp312-manylinux_2_28_x86_64"),
        (Target("3.12", "arm64"), "cp312-manylinux_2_28_aarch64"),
        (Target("3.11"), "cp311-manylinux_2_28_x86_64"),
    ):
        (package,) = lock(tmp_path, "fast", target=target).packages
        assert package.file == f"fast-1.0-{tag.split('-')[0]}-{tag}.whl"


def test_a_wheel_for_a_newer_c_library_is_not_chosen(tmp_path: Path, wheels: Path) -> None:
    make_wheel(wheels, "fast", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64")
    make_wheel(wheels, "fast", "2.0", tag="cp312-cp312-manylinux_2_39_x86_64")
    (package,) = lock(tmp_path, "fast").packages
    assert package.version == "1.0"
    newer = lock(tmp_path, "fast", target=Target("3.12", glibc=(2, 39)))
    assert newer.packages[0].version == "2.0"


def test_markers_are_read_for_the_image(tmp_path: Path, wheels: Path) -> None:
    make_wheel(wheels, "old")
    make_wheel(wheels, "new")
    entries = ['old; python_version < "3.12"', 'new; sys_platform == "linux"']
    assert [p.name for p in lock(tmp_path, *entries).packages] == ["new"]


def test_a_folder_of_wheels_is_handed_over_and_no_index_is_asked(
    tmp_path: Path, wheels: Path
) -> None:
    make_wheel(wheels, "small")
    found = lock(tmp_path, "small")
    assert found.text().splitlines()[:2] == ["--no-index", "--find-links wheels"]
    assert [package.file for package in found.handed_over] == ["small-1.0-py3-none-any.whl"]


def test_the_same_question_is_answered_from_memory_for_a_week(tmp_path: Path, wheels: Path) -> None:
    make_wheel(wheels, "small", "1.0")
    first = lock(tmp_path, "small")
    make_wheel(wheels, "small", "2.0")
    assert lock(tmp_path, "small") == first
    (answer,) = (tmp_path / "cache").glob("*.json")
    os.utime(answer, (time.time(), time.time() - MAX_AGE - 60))
    assert lock(tmp_path, "small").packages[0].version == "2.0"


def test_a_damaged_answer_is_asked_for_again(tmp_path: Path, wheels: Path) -> None:
    make_wheel(wheels, "small")
    first = lock(tmp_path, "small")
    (answer,) = (tmp_path / "cache").glob("*.json")
    answer.write_text(answer.read_text()[:50])
    assert lock(tmp_path, "small") == first


def test_a_local_wheel_is_used_as_it_is_and_a_change_of_it_is_seen(
    tmp_path: Path, wheels: Path
) -> None:
    make_wheel(wheels, "dependency")
    mine = make_wheel(tmp_path, "mine", requires=["dependency"])
    first = lock(tmp_path, f"./{mine.name}")
    assert [p.name for p in first.packages] == ["dependency", "mine"]
    make_wheel(tmp_path, "mine", requires=["dependency"], files={"mine.py": "changed = 1\n"})
    second = lock(tmp_path, f"./{mine.name}")
    assert first.digest != second.digest


def test_packages_that_contradict_each_other_are_explained(tmp_path: Path, wheels: Path) -> None:
    make_wheel(wheels, "a", requires=["shared<2"])
    make_wheel(wheels, "b", requires=["shared>=2"])
    make_wheel(wheels, "shared", "1.0")
    make_wheel(wheels, "shared", "2.0")
    with pytest.raises(ImageError) as caught:
        lock(tmp_path, "a", "b")
    message = str(caught.value)
    assert "contradict each other" in message
    assert "shared<2" in message and "shared>=2" in message
    assert "Do: " in message


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ("nowhere", "on none of the indexes"),
        ("small==9", "no such version"),
        ("windows-only", "no wheel for the image's platform"),
        ("./project", "cannot be built into a wheel"),
    ],
)
def test_a_refusal_says_what_to_do(tmp_path: Path, wheels: Path, entry: str, part: str) -> None:
    make_wheel(wheels, "small")
    make_wheel(wheels, "windows-only", tag="cp312-cp312-win_amd64")
    (tmp_path / "project").mkdir()
    with pytest.raises(ImageError) as caught:
        lock(tmp_path, entry)
    assert part in str(caught.value)
    assert "Do: " in str(caught.value)


def test_hashes_that_a_file_allows_are_kept_to(tmp_path: Path, wheels: Path) -> None:
    make_wheel(wheels, "small")
    (package,) = lock(tmp_path, "small").packages
    (tmp_path / "good.txt").write_text(f"small==1.0 --hash=sha256:{package.sha256}\n")
    assert lock(tmp_path, "-r good.txt").packages == (package,)
    (tmp_path / "bad.txt").write_text(f"small==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(ImageError, match="not one that --hash allows"):
        lock(tmp_path, "-r bad.txt")


def test_credentials_are_in_no_text_of_the_answer() -> None:
    package = Package("x", "1", "https://example.org/x-1.whl", "0" * 64, "", public=False)
    found = Requirements(
        TARGET, (package,), credentials={"example.org": Credentials("bob", "s3cret")}
    )
    assert "s3cret" not in repr(found) + found.text()
    assert found.digest == Requirements(TARGET, (package,)).digest


def test_nothing_asked_is_nothing_installed(tmp_path: Path) -> None:
    assert resolve(parse_pip_arguments([], tmp_path), TARGET, Recorder(), tmp_path).text() == ""


def test_the_servers_packages_are_bounded_by_the_packages_own_metadata() -> None:
    names = sorted(each.split(">")[0] for each in server_arguments().requirements)
    assert names == sorted(SERVER_PACKAGES)
