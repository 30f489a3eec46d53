"""The example notebooks deployed to SageMaker, by both builders and to both endpoint types."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_examples import EMBEDDINGS, LABELS, READING, STREAM
from tests.parts import base_image
from tests.parts.examples import environment_python, run_example
from tests.parts.registry import registry
from tests.stand import Stand
from tests.stand.project import Project

pytestmark = [pytest.mark.large, pytest.mark.docker, pytest.mark.registry]


@pytest.fixture(scope="session")
def python() -> Path:
    """The notebooks' interpreter; the base image of its Python is there too."""
    found = environment_python()
    for version in {found.resolve().name.removeprefix("python"), "3.12"}:
        base_image.ensure(version)
    return found


@pytest.fixture(scope="session")
def served_base(
    python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """The base image in a registry, where the layers builder reads it, and Docker's login there."""
    folder = tmp_path_factory.mktemp("base")
    with registry(folder / "registry") as served:
        version = python.resolve().name.removeprefix("python")
        reference = base_image.push(version, served.host, served.user, served.password)
        word = base64.b64encode(f"{served.user}:{served.password}".encode()).decode()
        (folder / "config.json").write_text(json.dumps({"auths": {served.host: {"auth": word}}}))
        yield reference, folder


@pytest.fixture
def layers(served_base: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> str:
    """What a configuration says to be built without an engine."""
    reference, folder = served_base
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return f"builder: layers, base_image: '{reference}'"


@pytest.fixture
def folder(stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a notebook runs, for an account that is set up; nothing may be left of it."""
    before = stand.inventory()
    monkeypatch.setenv("SAGETURNER_STATE_DIR", str(tmp_path / "state"))
    project = Project(stand, tmp_path, "examples")
    project.run("setup")
    yield tmp_path
    project.run("teardown", "--yes")
    assert stand.inventory() == before


def on(endpoint_type: str, name: str, generate: str) -> dict[str, str]:
    """What a captured notebook's cells say instead, to be deployed there."""
    named = f"\nname: {name}\n"
    return {
        "--endpoint-type local": f"--endpoint-type {endpoint_type}",
        named: f"{named}container: {{generate_container: {{{generate}}}}}\n",
        f"%sageturner delete {name}": f"%sageturner delete {name} --yes",
    }


def test_embeddings_from_layers_on_serverless(folder: Path, python: Path, layers: str) -> None:
    changes = on("serverless", "embeddings", layers)
    # Two deployments and loads on one container: what they show, they show locally.
    without = ("load-test", "max_size: 1", "one by one")
    run_example(
        "02_text_embeddings", folder, python, check=EMBEDDINGS, changes=changes, without=without
    )


def test_a_receipt_with_system_packages_from_docker_on_serverless(
    folder: Path, python: Path
) -> None:
    changes = on("serverless", "reader", "")
    del changes["\nname: reader\n"]
    changes["generate_container:"] = "generate_container:\n    builder: docker"
    run_example("03_image_to_text", folder, python, check=READING, changes=changes)


def test_a_code_folder_from_docker_on_instances_and_its_own_dockerfile_here(
    stand: Stand, folder: Path, python: Path
) -> None:
    changes = {"deploy -e local -c": "deploy -e server -c"}
    run_example("04_config_and_code_dir", folder, python, check=LABELS, changes=changes)
    Project(stand, folder, "digit-words").run("delete", "digit-words", "--yes")


def test_words_stream_from_layers_on_instances(folder: Path, python: Path, layers: str) -> None:
    run_example(
        "05_streaming", folder, python, check=STREAM, changes=on("server", "writer", layers)
    )
