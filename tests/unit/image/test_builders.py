from __future__ import annotations

from pathlib import Path

import pytest

from sageturner_magic.errors import ImageError
from sageturner_magic.image import builders
from sageturner_magic.image.builders import choose
from sageturner_magic.image.docker import engine
from sageturner_magic.image.spec import BuiltImage, ProvidedSpec
from sageturner_magic.packages.requirements import Target
from tests.parts.recorder import Recorder
from tests.unit.image.specs import package, spec

ARM = spec(package("six", "1"), target=Target("3.12", "arm64"))
SOURCE = spec(package("old", "1", file="old-1.tar.gz"))


@pytest.mark.parametrize(
    ("given", "answers", "expected", "reason"),
    [
        (spec(), "amd64", "docker", "a Docker engine answers"),
        (spec(), "", "layers", "no Docker engine answers"),
        (spec(), "arm64", "layers", "the Docker engine is for arm64"),
        (ARM, "arm64", "docker", "a Docker engine answers"),
        (ARM, "amd64", "layers", "the Docker engine is for amd64"),
        (spec(system_packages=("curl",)), "", "docker", "system packages need Docker: curl"),
        (SOURCE, "", "layers", "no Docker engine answers"),
        (SOURCE, "amd64", "docker", "a Docker engine answers"),
        (ProvidedSpec("x", Path()), "", "docker", "a Dockerfile of your own needs Docker"),
    ],
)
def test_auto_takes_what_can_make_the_image(
    monkeypatch: pytest.MonkeyPatch, given: builders.Spec, answers: str, expected: str, reason: str
) -> None:
    monkeypatch.setattr(builders, "engine_architecture", lambda: answers)
    made = choose("auto", given)
    assert made.builder.name == expected
    assert reason in made.reason


def test_a_builder_that_is_asked_for_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builders, "engine_architecture", lambda: "amd64")
    assert choose("layers", spec()).builder.name == "layers"
    assert choose("docker", spec()).builder.name == "docker"


def test_layers_say_all_that_they_cannot_do() -> None:
    with pytest.raises(ImageError, match="system packages need Docker: curl"):
        choose("layers", spec(system_packages=("curl",)))


def test_no_engine_is_no_architecture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert engine.engine_architecture() == ""


def test_an_engine_that_is_needed_and_missing_is_found_before_the_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(ImageError, match="Docker"):
        choose("docker", spec()).builder.prepare(spec(), Recorder())


def test_only_what_needs_no_engine_is_unpacked_and_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builders, "engine_architecture", lambda: "amd64")
    docker = choose("docker", spec()).builder
    built = BuiltImage("x-1", "repository:x-1", "amd64", 1, reused=False)
    assert docker.needs_engine and not choose("layers", spec()).builder.needs_engine
    assert docker.unpack(built, Recorder()) is None
    assert docker.planned(spec(), None, Recorder()) == ()
