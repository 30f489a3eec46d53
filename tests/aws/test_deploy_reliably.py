"""Deployments finish although AWS, the registry and the deploying process do not hold still."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.waiting import wait_for
from tests.stand import Stand
from tests.stand.project import Project
from tests.stand.sweep import nothing_left

pytestmark = [pytest.mark.docker, pytest.mark.registry]


@pytest.fixture
def project(stand: Stand, tmp_path: Path) -> Iterator[Project]:
    """A project whose account is set up, and of which nothing is left in the end."""
    with nothing_left(stand):
        made = Project(stand, tmp_path, "steady")
        made.write_code()
        (tmp_path / "weights.txt").write_text("42")
        made.configure(artefact="./weights.txt")
        made.run("setup")
        yield made
        stand.faults.clear()
        made.run("delete", made.name, "--yes", "--if-exists")
        made.run("teardown", "--yes")


def test_throttling_by_aws_and_uploads_that_break_off_do_not_stop_a_deployment(
    project: Project,
) -> None:
    aws = "sts,iam,s3,ecr,sagemaker,logs,application-autoscaling,service-quotas,pricing"
    project.stand.faults.set(
        throttle_percent=30, services=aws, drop_every_upload=5, s3_fail_upload=1
    )
    project.run("deploy", "-e", "serverless", "--no-smoke-test")
    project.stand.faults.clear()
    assert project.invoke({"file": "weights.txt"}) == {"value": "42"}


def test_a_registry_token_that_expires_in_the_middle_of_a_push_is_renewed(project: Project) -> None:
    project.stand.faults.set(expire_token_after=12)
    project.run("deploy", "-e", "serverless", "--no-smoke-test")
    assert project.stand.faults.expire_token_after == 0
    assert project.invoke({"x": 2}) == {"answer": 4}


def test_a_deployment_that_is_killed_at_any_step_is_finished_by_the_same_command(
    project: Project,
) -> None:
    # Code of its own, so that there is something to build.
    project.write_code(factor=11)
    steps = ["Check everything", "Build the image …", "Try the image", "Upload the model"]
    steps += ["Push the image", "Create the endpoint", "Wait until"]
    project.stand.faults.set(transition_s=2)
    for step in steps:
        running = project.start("deploy", "-e", "serverless")
        assert running.stderr is not None
        reached = any(line.startswith(step) for line in running.stderr)
        running.send_signal(signal.SIGKILL)
        running.communicate()
        assert reached, step
    project.run("deploy", "-e", "serverless")
    assert project.invoke({"x": 2}) == {"answer": 22}
    left = project.stand.inventory()
    for kind in ("models", "endpoint configurations", "endpoints"):
        assert len([each for each in left[kind] if each.startswith("steady")]) == 1, left
    assert len([each for each in left["images"] if "sageturner-sagemaker" in each]) == 1


def test_of_two_deployments_at_once_one_wins_and_the_other_ends_well_or_says_why(
    project: Project,
) -> None:
    running = [project.start("deploy", "-e", "serverless", "--no-smoke-test") for _ in range(2)]
    ended = [(each.communicate(timeout=240), each.returncode) for each in running]
    assert 0 in [code for _, code in ended], ended
    for (_, err), code in ended:
        assert code == 0 or "Do: " in err, err
        assert "Traceback" not in err and "should not" not in err
    assert project.invoke({"x": 2}) == {"answer": 4}


def test_a_deployment_is_refused_before_its_build_while_another_changes_the_endpoint(
    project: Project,
) -> None:
    project.run("deploy", "-e", "serverless", "--no-smoke-test")
    project.stand.faults.set(transition_s=20)
    project.write_code(factor=3)
    first = project.start("deploy", "-e", "serverless", "--no-smoke-test")

    def changing() -> bool:
        assert first.poll() is None, first.communicate()
        return bool(project.json("status", project.name)[0]["status"] == "Updating")

    wait_for("the first deployment to change the endpoint", changing, seconds=240)
    project.write_code(factor=4)
    said = project.refused("deploy", "-e", "serverless", "--no-smoke-test")
    assert re.search(r"version [0-9a-f]{12} is on its way since \d\d:\d\d:\d\d", said)
    assert "wait until `sageturner status" in said and "delete" not in said
    assert "Build" not in said
    assert first.wait(timeout=240) == 0, first.communicate()
    assert project.invoke({"x": 2}) == {"answer": 6}


def test_an_endpoint_answers_on_when_one_that_shares_its_layers_and_artefact_is_deleted(
    project: Project,
) -> None:
    project.run("deploy", "-e", "serverless", "--no-smoke-test")
    twin = Project(project.stand, project.folder, "twin")
    twin.configure(artefact="./weights.txt")
    twin.run("deploy", "-e", "serverless", "--no-smoke-test")
    project.run("delete", project.name, "--yes")
    assert twin.invoke({"file": "weights.txt"}) == {"value": "42"}
    twin.write_code(factor=7)
    twin.run("deploy", "-e", "serverless", "--no-smoke-test")
    assert twin.invoke({"x": 1}) == {"answer": 7}
    twin.run("delete", "twin", "--yes")
    left = twin.stand.inventory()
    assert not [each for each in left.get("objects", []) if each.startswith("sageturner")]


def test_a_registry_that_throttles_gets_the_image_nevertheless(project: Project) -> None:
    project.write_code(factor=13)
    project.stand.faults.set(throttle_percent=30, services="registry")
    project.run("deploy", "-e", "serverless", "--no-smoke-test")
    project.stand.faults.clear()
    assert project.invoke({"x": 2}) == {"answer": 26}


def test_permissions_that_sagemaker_sees_late_are_waited_for_and_told(project: Project) -> None:
    faults = project.stand.faults
    faults.set(late_policies=2)
    said = project.run("deploy", "-e", "serverless", "--no-smoke-test").err
    assert faults.late_policies == 0
    assert "waiting up to 60 s: ValidationException: The role" in said
    assert project.invoke({"x": 2}) == {"answer": 4}


def test_a_change_that_fails_because_permissions_are_seen_late_is_ordered_again(
    project: Project,
) -> None:
    faults = project.stand.faults
    faults.set(transition_s=4)
    running = project.start("deploy", "-e", "serverless", "--no-smoke-test")
    assert running.stderr is not None
    assert any(line.startswith("Wait until") for line in running.stderr)
    # SageMaker has taken the order, and looks at the role's policies again later.
    faults.set(transition_s=0, late_policies=1)
    rest = running.stderr.read()
    assert running.wait(timeout=60) == 0, rest
    assert "does not have" in rest and "Retrying in 10 s" in rest
    assert project.invoke({"x": 2}) == {"answer": 4}


def test_settings_that_are_seen_late_change_nothing_for_deployments(project: Project) -> None:
    project.stand.faults.set(late_settings=1000)
    project.run("setup")
    project.run("deploy", "-e", "serverless", "--no-smoke-test")
    assert project.invoke({"file": "weights.txt"}) == {"value": "42"}
    project.run("logs", project.name)
    project.run("list")
    project.run("delete", project.name, "--yes")
    assert "endpoints" not in project.stand.inventory()


def test_a_second_region_has_images_of_its_own(project: Project) -> None:
    there = Project(
        project.stand, project.folder, project.name, variables={"AWS_REGION": "us-east-1"}
    )
    for each in (project, there):
        each.run("setup")
        each.run("deploy", "-e", "serverless", "--no-smoke-test")
        assert each.invoke({"x": 2}) == {"answer": 4}
    there.run("delete", there.name, "--yes")
    there.run("teardown", "--yes")
    assert "repositories" not in project.stand.inventory("us-east-1")
    assert project.invoke({"x": 2}) == {"answer": 4}
