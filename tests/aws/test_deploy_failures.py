"""What the command says when a deployment goes wrong, and that the next one mends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stand import Stand
from tests.stand.fixtures import Account
from tests.stand.project import Project
from tests.stand.quotas import MEMORY
from tests.stand.sweep import nothing_left

pytestmark = [pytest.mark.docker, pytest.mark.registry]

BROKEN = """\
def load():
    raise RuntimeError("the weights are not here")

def predict(model, request):
    return {}
"""


@pytest.fixture
def project(stand: Stand, tmp_path: Path) -> Iterator[Project]:
    """A project whose account is set up, and torn down in the end."""
    with nothing_left(stand):
        made = Project(stand, tmp_path, "failing")
        made.write_code()
        made.configure()
        made.run("setup")
        yield made
        stand.faults.clear()
        made.configure()
        made.run("delete", made.name, "--yes", "--if-exists")
        made.run("teardown", "--yes")


def test_everything_that_is_missing_is_said_at_once(stand: Stand, tmp_path: Path) -> None:
    project = Project(stand, tmp_path, "unready")
    project.write_code()
    stand.quotas.set("ml.m5.xlarge", 0)
    stand.create_strangers_bucket("strangers-sagemaker")
    (tmp_path / "weights").write_text("1")
    project.configure(
        artefact="./weights",
        overrides={"bucket_name": "strangers-sagemaker", "role_name": "nobody"},
    )
    said = project.refused("plan", "-e", "server")
    assert "nobody" in said
    assert "strangers-sagemaker" in said and "bucket_name" in said
    assert "ml.m5.xlarge for endpoint usage" in said
    stand.quotas.set(MEMORY, 1024)
    assert "1024" in project.refused("plan", "-e", "serverless")


def test_a_gpu_cannot_be_asked_of_a_serverless_endpoint(stand: Stand, tmp_path: Path) -> None:
    project = Project(stand, tmp_path, "cuda")
    project.write_code()
    container = {"generate_container": {"code_dir": "./code", "install_cuda": True}}
    project.configure(container=container)
    said = project.refused("deploy", "-e", "serverless")
    assert "container.generate_container.install_cuda" in said and "--endpoint-type server" in said
    assert said.count("serverless endpoints have no GPU") == 1


def test_an_endpoint_of_somebody_else_is_left_alone(account: Account, project: Project) -> None:
    account.create("others")
    account.settled("others")
    other = Project(project.stand, project.folder, "others")
    other.configure()
    try:
        assert "was not made by sageturner" in other.refused("deploy", "-e", "serverless")
        assert "was not made by sageturner" in other.refused("delete", "others", "--yes")
        assert account.settled("others")["EndpointStatus"] == "InService"
    finally:
        account.sagemaker.delete_endpoint(EndpointName="others")
        account.sagemaker.get_waiter("endpoint_deleted").wait(
            EndpointName="others", WaiterConfig={"Delay": 1}
        )
        account.sagemaker.delete_endpoint_config(EndpointConfigName="others")
        account.sagemaker.delete_model(ModelName="others")
        account.stand.client("logs").delete_log_group(
            logGroupName="/aws/sagemaker/Endpoints/others"
        )


def test_a_load_that_raises_is_seen_before_anything_is_pushed(project: Project) -> None:
    project.write_code(code=BROKEN)
    said = project.refused("deploy", "-e", "serverless")
    assert "the weights are not here" in said
    assert "Push the image" not in said
    assert "images" not in project.stand.inventory() or not _images(project)

    said = project.refused("deploy", "-e", "serverless", "--no-smoke-test")
    assert "the weights are not here" in said
    assert "ping" in said
    (status,) = project.json("status", project.name)
    assert status["status"] == "Failed"

    project.write_code(factor=5)
    assert "replaced" in project.run("deploy", "-e", "serverless").err
    assert project.invoke({"x": 2}) == {"answer": 10}
    refused = project.run("invoke", project.name, '{"fail": "no such digit"}', fails=True).err
    assert "no such digit" in refused and "ValueError" in refused


def test_an_instance_that_cannot_be_had_is_said_and_may_be_had_later(project: Project) -> None:
    project.stand.faults.set(no_capacity="ml.m5.xlarge")
    said = project.refused("deploy", "-e", "server")
    assert "no free ml.m5.xlarge" in said
    project.stand.faults.clear()
    assert "replaced" in project.run("deploy", "-e", "server").err
    assert project.invoke({"x": 2}) == {"answer": 4}


def _images(project: Project) -> list[str]:
    return [each for each in project.stand.inventory().get("images", []) if "sageturner" in each]
