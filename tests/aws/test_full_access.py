"""People who have AmazonSageMakerFullAccess and nothing else, after an administrator's setup."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sageturner_magic.aws import log_group
from tests.stand import SAGEMAKER_FULL_ACCESS, Stand
from tests.stand.project import SERVER, Project
from tests.stand.sweep import nothing_left

pytestmark = [pytest.mark.docker, pytest.mark.registry]

SCALING = {"autoscaling": {"min": 1, "max": 2, "invocations_per_instance": 50}}


@pytest.fixture
def administrator(stand: Stand, tmp_path: Path) -> Iterator[Project]:
    """The administrator's project, set up; what the user leaves is removed."""
    with nothing_left(stand):
        made = Project(stand, tmp_path, "granted")
        made.write_code(factor=19)
        (tmp_path / "weights.txt").write_text("42")
        made.configure(
            artefact="./weights.txt",
            compute={"server": {**SERVER["server"], **SCALING}, "serverless": {"memory": 2048}},
        )
        made.run("setup")
        yield made
        stand.faults.clear()
        made.run("delete", made.name, "--yes", "--if-exists")
        made.run("teardown", "--yes")
        # Who may not tag the log group leaves it; the note of `delete` names it.
        logs = stand.client("logs")
        for group in logs.describe_log_groups(logGroupNamePrefix=log_group(made.name))["logGroups"]:
            logs.delete_log_group(logGroupName=group["logGroupName"])


@pytest.fixture
def user(administrator: Project) -> Project:
    """The same project in the hands of somebody with AmazonSageMakerFullAccess only."""
    stand = administrator.stand
    keys = stand.create_user(f"studio-{administrator.folder.name}", SAGEMAKER_FULL_ACCESS)
    return Project(stand, administrator.folder, administrator.name, keys)


def test_an_endpoint_lives_from_plan_to_delete(user: Project) -> None:
    planned = user.run("plan", "-e", "server").out
    assert "does not exist" not in planned
    user.deploy("server", "--no-smoke-test")
    assert user.invoke({"file": "weights.txt"}) == {"value": "42"}
    assert "unchanged" in user.run("deploy", "-e", "server", "--no-smoke-test").err
    first = user.json("status", user.name)[0]["version"]
    user.write_code(factor=23)
    user.deploy("server", "--no-smoke-test")
    assert user.invoke({"x": 2}) == {"answer": 46}
    assert "the model is loaded" in user.run("logs", user.name).out
    assert [each["name"] for each in user.json("list")["endpoints"]] == [user.name]
    assert user.json("rollback", user.name)["version"] == first
    assert user.invoke({"x": 2}) == {"answer": 38}
    deleted = user.run("delete", user.name, "--yes")
    left = user.stand.inventory()
    for kind in ("endpoints", "models", "scalable targets"):
        assert not [each for each in left.get(kind, []) if user.name in each], left
    # What could not be done is said, with the permission that it takes.
    assert "logs:TagResource" in deleted.out + deleted.err


def test_the_endpoint_is_deleted_whatever_else_is_refused(user: Project) -> None:
    user.deploy("serverless", "--no-smoke-test")
    allowed = [
        {"Effect": "Allow", "Action": action, "Resource": "*"}
        for action in (
            "sagemaker:DescribeEndpoint",
            "sagemaker:ListTags",
            "sagemaker:DeleteEndpoint",
        )
    ]
    keys = user.stand.create_user("deletes", {"Version": "2012-10-17", "Statement": allowed})
    bare = Project(user.stand, user.folder, user.name, keys)
    ended = bare.run("delete", bare.name, "--yes")
    assert user.name not in user.stand.inventory().get("endpoints", [])
    assert "nothing of it is left" not in ended.out + ended.err
    assert "sagemaker:ListEndpointConfigs" in ended.out + ended.err
