"""The example notebooks deployed to SageMaker, by both builders and to both endpoint types.

Each is then deployed once more, by the same builder, to a container of this machine. Each is run by
another program than in tests/integration/test_examples.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_examples import EMBEDDINGS, LABELS, READING, STREAM
from tests.parts import base_image
from tests.parts.examples import Again, environment_python, run_example
from tests.parts.no_engine import NoEngine, no_engine
from tests.parts.torch import cpu_torch
from tests.stand import Stand
from tests.stand.project import Project

pytestmark = [pytest.mark.docker, pytest.mark.registry]


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NoEngine]:
    """The base image of PyTorch's Python in a registry, where the layers builder reads it."""
    torch = cpu_torch()
    assert torch
    with no_engine(tmp_path_factory.mktemp("away"), torch.python) as machine:
        yield machine


@pytest.fixture
def layers(away: NoEngine, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a configuration says to be built without an engine."""
    monkeypatch.setenv("DOCKER_CONFIG", away.environment["DOCKER_CONFIG"])
    return f"builder: layers, base_image: '{away.base}'"


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


def container_here(endpoint_type: str, name: str) -> Again:
    """Everything from the deployment on once more, in a container of this machine."""
    changes = {
        f"--endpoint-type {endpoint_type}": "--endpoint-type local",
        "\ncompute:\n": "\ncompute:\n  local: {mode: container}\n",
    }
    return Again(changes, f"%sageturner delete {name} --yes")


@pytest.mark.torch
def test_embeddings_from_layers_on_serverless_and_in_a_container(folder: Path, layers: str) -> None:
    run_example(
        "02_text_embeddings", folder, runner="nbclient", check=EMBEDDINGS,
        changes=on("serverless", "embeddings", layers),
        again=container_here("serverless", "embeddings"),
        # Two deployments and loads on one container: what they show, they show locally.
        without=("load-test", "max_size: 1", "one by one"),
    )  # fmt: skip


def test_a_receipt_with_system_packages_from_docker_on_serverless_and_in_a_container(
    folder: Path,
) -> None:
    python = environment_python("03_image_to_text").resolve()
    base_image.ensure(python.name.removeprefix("python"))
    changes = on("serverless", "reader", "")
    del changes["\nname: reader\n"]
    changes["generate_container:"] = "generate_container:\n    builder: docker"
    run_example(
        "03_image_to_text", folder, runner="papermill", check=READING, changes=changes,
        again=container_here("serverless", "reader"),
    )  # fmt: skip


@pytest.mark.torch
def test_a_code_folder_from_docker_on_instances_and_its_own_dockerfile_here(folder: Path) -> None:
    base_image.ensure("3.12")
    provided = "deploy -e local -m provide"
    run_example(
        "04_config_and_code_dir", folder, runner="papermill", check=LABELS,
        changes={
            "deploy -e local -c": "deploy -e server -c",
            provided: f"delete digit-words --yes\n%sageturner {provided}",
        },
        # What runs on instances cannot become serverless, and a plan of that is refused.
        without=("plan -e serverless",),
    )  # fmt: skip


@pytest.mark.torch
def test_words_stream_from_layers_on_instances_and_in_a_container(
    folder: Path, layers: str
) -> None:
    run_example(
        "05_streaming", folder, runner="nbclient", check=STREAM,
        changes=on("server", "writer", layers), again=container_here("server", "writer"),
    )  # fmt: skip
