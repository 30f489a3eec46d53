"""`delete`, `list`, `status`, `plan` and `rollback` tell what is, whoever brought it about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.waiting import wait_for
from tests.stand import Stand
from tests.stand.project import SERVER, Project
from tests.stand.sweep import nothing_left

pytestmark = [pytest.mark.docker, pytest.mark.registry]

BROKEN = """\
def load(model_dir):
    raise FileNotFoundError("the weights are not here")

def predict(model, request):
    return request
"""
SCALING = {"autoscaling": {"min": 1, "max": 4, "invocations_per_instance": 50}}


@pytest.fixture
def project(stand: Stand, tmp_path: Path) -> Iterator[Project]:
    with nothing_left(stand):
        made = Project(stand, tmp_path, "truthful")
        made.write_code()
        made.configure()
        made.run("setup")
        yield made
        stand.faults.clear()
        made.run("delete", made.name, "--yes", "--if-exists", "-e", "local")
        made.run("delete", made.name, "--yes", "--if-exists", "-e", "serverless")
        made.run("teardown", "--yes")


def settled(project: Project) -> dict[str, Any]:
    """The endpoint's description once nothing is under way."""
    sagemaker = project.stand.client("sagemaker")

    def read() -> dict[str, Any] | None:
        found: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=project.name)
        return None if found["EndpointStatus"] == "Updating" else found

    return wait_for("the endpoint to settle", read, seconds=60)


def listed(project: Project) -> Any:
    return project.json("list")["endpoints"][0]


def test_a_name_that_two_endpoints_have_is_asked_about(project: Project) -> None:
    project.deploy("serverless", "--no-smoke-test")
    project.run("deploy", "-e", "local", "--detach")
    for words in (
        ("delete", project.name, "--yes"),
        ("invoke", project.name, "{}"),
        ("status", project.name),
        ("logs", project.name),
        ("load-test", project.name, '{"x": 1}', "--requests", "1"),
        ("rollback", project.name),
    ):
        refused = project.refused(*words)
        assert "-e local" in refused and "-e serverless" in refused, words
    assert project.json("status", project.name, "-e", "server")[0]["endpoint_type"] == "serverless"
    assert project.json("status", project.name, "-e", "local")[0]["endpoint_type"] == "local"
    project.run("delete", project.name, "--yes", "-e", "local")
    assert project.invoke({"x": 2}) == {"answer": 4}
    project.run("delete", project.name, "--yes")
    assert "There is no endpoint" in project.refused("delete", project.name, "--yes")
    assert "There is no endpoint" in project.run("delete", project.name, "--if-exists").out


def test_a_change_by_others_is_described_and_announced_and_undone(project: Project) -> None:
    project.deploy("server", "--no-smoke-test")
    sagemaker = project.stand.client("sagemaker")
    config = sagemaker.describe_endpoint(EndpointName=project.name)["EndpointConfigName"]
    (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    theirs = {**variant, "InstanceType": "ml.m5.2xlarge", "InitialInstanceCount": 2}
    sagemaker.create_endpoint_config(EndpointConfigName="theirs", ProductionVariants=[theirs])
    sagemaker.update_endpoint(EndpointName=project.name, EndpointConfigName="theirs")
    settled(project)
    shown = listed(project)
    assert "2 of ml.m5.2xlarge" in shown["detail"] and "theirs" in shown["detail"]
    assert shown["endpoint_type"] == "server"
    assert shown["cost_per_hour"] == pytest.approx(2 * 0.461 * 1.12, rel=0.01)
    planned = project.run("plan", "-e", "server")
    assert "theirs (2 of ml.m5.2xlarge)" in planned.out + planned.err
    project.deploy("server", "--no-smoke-test")
    assert settled(project)["EndpointConfigName"] == config
    sagemaker.delete_endpoint_config(EndpointConfigName="theirs")

    # As the SDK's `Predictor.delete_endpoint()`: the config goes first.
    sagemaker.delete_endpoint_config(EndpointConfigName=config)
    assert listed(project)["endpoint_type"] == "server"
    sagemaker.delete_endpoint(EndpointName=project.name)
    sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=project.name, WaiterConfig={"Delay": 1}
    )
    assert f"{project.name}-" in project.run("delete", project.name, "--yes").err
    left = project.stand.inventory().get("models", [])
    assert not [each for each in left if each.startswith(project.name)]


def test_instances_that_run_are_billed_and_set_back_without_autoscaling(project: Project) -> None:
    project.configure(compute={"server": {**SERVER["server"], **SCALING}})
    project.deploy("server", "--no-smoke-test")
    variants = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 4}]
    project.stand.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=project.name, DesiredWeightsAndCapacities=variants
    )
    settled(project)
    hourly = 4 * 0.23 * 1.12
    assert listed(project)["cost_per_hour"] == pytest.approx(hourly, rel=0.01)
    spent = project.json("cost", project.name)
    assert spent["findings"] == [] == spent["unknown"] == spent["idle"]
    assert {day["endpoint"] for day in spent["days"]} == {project.name}
    hours = sum(day["hours"] for day in spent["days"])
    dollars = sum(day["dollars"] for day in spent["days"])
    assert 0 < hours < 1 and dollars == pytest.approx(hours * hourly, rel=0.05)
    assert spent["forecast"] > spent["month"]
    assert project.name in project.run("cost").out
    project.configure()
    planned = project.run("plan", "-e", "server")
    assert "from 4 to 1 instances" in planned.out + planned.err
    project.deploy("server", "--no-smoke-test")
    assert settled(project)["ProductionVariants"][0]["DesiredInstanceCount"] == 1
    targets = project.stand.inventory().get("scalable targets", [])
    assert not [each for each in targets if project.name in each]


def test_an_update_that_fails_is_told_also_where_sagemaker_gives_no_reason(
    project: Project,
) -> None:
    project.deploy("server", "--no-smoke-test")
    assert "no earlier version" in project.refused("rollback", project.name)
    with project.stand.maintenance(project.name):
        assert "SystemUpdating" in project.refused("delete", project.name, "--yes")
        assert "SystemUpdating" in project.refused("rollback", project.name)
    project.write_code(code=BROKEN)
    project.stand.faults.set(silent_rollbacks=1)
    told = project.refused("deploy", "-e", "server", "--no-smoke-test")
    assert "serves its former version" in told and "the weights are not here" in told
    assert project.invoke({"x": 2}) == {"answer": 4}
    project.stand.faults.set(failed_rollbacks=1)
    project.refused("deploy", "-e", "server", "--no-smoke-test")
    assert listed(project)["status"] == "UpdateRollbackFailed"
    project.run("delete", project.name, "--yes")


def test_credentials_that_expire_amid_the_wait_leave_sagemaker_at_work(project: Project) -> None:
    project.stand.faults.set(transition_s=4, expire_after=5)
    told = project.refused("deploy", "-e", "serverless", "--no-smoke-test")
    assert "SageMaker continues" in told and "expired" in told
    project.stand.faults.clear()
    project.run("deploy", "-e", "serverless", "--no-smoke-test")
    assert project.invoke({"x": 2}) == {"answer": 4}
    # Serverless to instances cannot be taken back.
    planned = project.run("plan", "-e", "server")
    assert "for good" in planned.out + planned.err
