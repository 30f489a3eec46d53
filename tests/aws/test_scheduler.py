"""EventBridge Scheduler on the stand carries out a one-time schedule, as the role that it names."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.parts.waiting import wait_for
from tests.stand import Stand
from tests.stand.sagemaker.store import Endpoint
from tests.stand.scheduler import SERVICE

ROLE = "deletes-endpoints"
TAGGED = {"Null": {"aws:ResourceTag/ends": "false"}}


@pytest.fixture
def role(stand: Stand) -> Iterator[str]:
    """A role that may delete endpoints with the tag `ends`, and that the scheduler may assume."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": SERVICE},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": stand.account}},
    }
    allowed = {
        "Effect": "Allow",
        "Action": "sagemaker:DeleteEndpoint",
        "Resource": "*",
        "Condition": TAGGED,
    }
    iam = stand.client("iam")
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=document(trust))
    iam.put_role_policy(RoleName=ROLE, PolicyName="ends", PolicyDocument=document(allowed))
    yield f"arn:aws:iam::{stand.account}:role/{ROLE}"
    iam.delete_role_policy(RoleName=ROLE, PolicyName="ends")
    iam.delete_role(RoleName=ROLE)


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements]})


def running(stand: Stand, name: str, **tags: str) -> Endpoint:
    """An endpoint of SageMaker's books, which no container serves."""
    store = stand.sagemaker.store(stand.region)
    made = Endpoint(name, store.arn("endpoint", name), name, {}, stand.region, "InService")
    store.endpoints[name] = made
    store.tag(made.arn, [{"Key": key, "Value": value} for key, value in tags.items()])
    return made


def schedule(stand: Stand, role: str, name: str, seconds: float, **more: Any) -> None:
    at = datetime.fromtimestamp(stand.scheduler.now() + seconds, timezone.utc)
    stand.client("scheduler").create_schedule(
        Name=name,
        ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target={
            "Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:deleteEndpoint",
            "RoleArn": role,
            "Input": json.dumps({"EndpointName": name}),
            **more,
        },
    )


def names(stand: Stand) -> list[str]:
    return [each["Name"] for each in stand.client("scheduler").list_schedules()["Schedules"]]


def gone(stand: Stand, name: str) -> None:
    wait_for(f"{name} to be deleted", lambda: name not in stand.inventory().get("endpoints", []))


def tried(stand: Stand, name: str) -> list[str]:
    return [result for schedule, result in stand.scheduler.attempts if schedule == name]


def test_a_schedule_deletes_its_endpoint_at_its_time_and_then_itself(
    stand: Stand, role: str
) -> None:
    running(stand, "at-its-time", ends="1")
    schedule(stand, role, "at-its-time", 3600)
    stand.scheduler.advance(3590)
    assert names(stand) == ["at-its-time"] and not tried(stand, "at-its-time")
    stand.scheduler.advance(20)
    gone(stand, "at-its-time")
    assert names(stand) == [] and tried(stand, "at-its-time") == ["done"]


def test_time_passes_without_anybody_who_moves_the_clock(stand: Stand, role: str) -> None:
    running(stand, "by-itself", ends="1")
    schedule(stand, role, "by-itself", 1)
    gone(stand, "by-itself")


def test_the_role_of_the_schedule_decides(stand: Stand, role: str) -> None:
    running(stand, "without-tag")
    schedule(stand, role, "without-tag", 60)
    stand.scheduler.advance(61)
    (refused,) = tried(stand, "without-tag")
    assert "not authorized to perform: sagemaker:DeleteEndpoint" in refused
    assert names(stand) == [] and "without-tag" in stand.inventory()["endpoints"]
    del stand.sagemaker.store(stand.region).endpoints["without-tag"]


def test_what_sagemaker_refuses_is_tried_again(stand: Stand, role: str) -> None:
    updating = running(stand, "updating", ends="1")
    updating.become("Updating")
    schedule(stand, role, "updating", 60)
    stand.scheduler.advance(61)
    assert "in-progress" in tried(stand, "updating")[0]
    updating.become("InService")
    stand.scheduler.advance(10)
    gone(stand, "updating")
    assert tried(stand, "updating")[-1] == "done"


def test_retries_end_with_the_age_of_the_event(stand: Stand, role: str) -> None:
    running(stand, "stuck", ends="1").become("Updating")
    schedule(stand, role, "stuck", 60, RetryPolicy={"MaximumEventAgeInSeconds": 120})
    stand.scheduler.advance(61)
    assert names(stand) == ["stuck"]
    stand.scheduler.advance(200)
    assert names(stand) == [] and "done" not in tried(stand, "stuck")
    del stand.sagemaker.store(stand.region).endpoints["stuck"]


def test_a_role_that_the_scheduler_may_not_assume_is_refused(stand: Stand, role: str) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": SERVICE}, "Action": "sts:AssumeRole"}
    condition = {"StringEquals": {"aws:SourceAccount": "1"}}
    stand.client("iam").update_assume_role_policy(
        RoleName=ROLE, PolicyDocument=document({**trust, "Condition": condition})
    )
    with pytest.raises(ClientError, match="must allow AWS EventBridge Scheduler to assume"):
        schedule(stand, role, "untrusted", 60)


def test_who_creates_a_schedule_needs_to_pass_its_role(stand: Stand, role: str) -> None:
    only = {"Effect": "Allow", "Action": "scheduler:*", "Resource": "*"}
    keys = stand.create_user(
        f"no-pass-{time.time_ns()}", {"Version": "2012-10-17", "Statement": [only]}
    )
    with pytest.raises(ClientError, match="iam:PassRole"):
        stand.client("scheduler", keys).create_schedule(
            Name="not-passed",
            ScheduleExpression="at(2100-01-01T00:00:00)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:deleteEndpoint", "RoleArn": role},
        )


def test_an_expression_that_is_none_is_refused(stand: Stand, role: str) -> None:
    with pytest.raises(ClientError, match="Invalid Schedule Expression"):
        stand.client("scheduler").create_schedule(
            Name="never",
            ScheduleExpression="at()",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:deleteEndpoint", "RoleArn": role},
        )
