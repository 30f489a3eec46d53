"""Leases: EventBridge Scheduler deletes an endpoint at its end, and only one that has a lease."""

from __future__ import annotations

import itertools
import json
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

import sageturner_magic
from sageturner_magic.aws import endpoints as aws_endpoints
from sageturner_magic.aws.account import hourly
from sageturner_magic.aws.account.lease_role import ensure_lease_role
from sageturner_magic.aws.endpoints import autoscaling
from sageturner_magic.aws.endpoints import lease as leases
from sageturner_magic.aws.endpoints.endpoint import find_endpoint
from sageturner_magic.aws.names import (
    TAG_CREATED_BY,
    TAG_LEASE,
    TAG_PROTECTED,
    VARIANT,
    Names,
    names_in,
)
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.beside import finish_beside
from sageturner_magic.config import Autoscaling, Origin, Server, parse_config
from sageturner_magic.deployment.plans.leasing import Leasing, spending_of
from sageturner_magic.endpoints.leases import known_ends
from sageturner_magic.endpoints.sagemaker import SageMakerEndpoints
from sageturner_magic.errors import AwsError, ConfigError, EndpointError
from sageturner_magic.values import Request
from tests.aws.test_scheduler import gone, names, running, tried
from tests.parts.waiting import wait_for
from tests.stand import Stand
from tests.stand.actions import Need, sagemaker_arn
from tests.stand.project import Project
from tests.stand.sagemaker.store import Endpoint
from tests.stand.scheduler import SERVICE
from tests.stand.sweep import nothing_left

HOUR = 3600.0
_numbers = itertools.count()


@pytest.fixture
def session(stand: Stand) -> AwsSession:
    boto = boto3.Session(stand.admin.access_key, stand.admin.secret_key, region_name=stand.region)
    return AwsSession(None, stand.region, "aws", boto)


@pytest.fixture
def ours(session: AwsSession) -> Names:
    return names_in(session)


@pytest.fixture
def role(stand: Stand, session: AwsSession, ours: Names) -> Iterator[str]:
    """The role for leases, as setup creates it."""
    ensure_lease_role(session, ours)
    assert ensure_lease_role(session, ours) == ()
    yield ours.lease_role_arn
    iam = stand.client("iam")
    for policy in iam.list_role_policies(RoleName=ours.lease_role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=ours.lease_role, PolicyName=policy)
    iam.delete_role(RoleName=ours.lease_role)


@pytest.fixture
def made(stand: Stand) -> Iterator[Endpoint]:
    """An endpoint of ours that runs, without a lease."""
    endpoint = running(stand, f"mine-{next(_numbers)}", **{TAG_CREATED_BY: "me"})
    yield endpoint
    stand.sagemaker.store(stand.region).endpoints.pop(endpoint.name, None)
    stand.sagemaker.store(stand.region).tags.pop(endpoint.arn, None)


def lease_for(
    stand: Stand, session: AwsSession, names: Names, endpoint: Endpoint, hours: float
) -> float:
    now = stand.scheduler.now()
    return leases.extend_lease(session, names, endpoint.name, "8h", hours * HOUR, now)


def test_the_role_for_leases_deletes_endpoints_with_a_lease_and_nothing_else(
    stand: Stand, role: str, made: Endpoint
) -> None:
    principal = stand.iam.assumed(role, SERVICE, {"aws:SourceAccount": stand.account})
    assert principal
    assert not stand.iam.assumed(role, SERVICE, {"aws:SourceAccount": "999999999999"})
    assert not stand.iam.assumed(role, "sagemaker.amazonaws.com", {})
    leased = running(stand, f"leased-{next(_numbers)}", **{TAG_LEASE: "8h"})
    model = sagemaker_arn(stand.region, "model", leased.name)
    allowed = {
        (action, arn)
        for action in ("DeleteEndpoint", "UpdateEndpoint", "DeleteTags", "DeleteModel")
        for arn in (leased.arn, made.arn, model)
        if stand.iam.allows(principal, Need(f"sagemaker:{action}", arn))
    }
    assert allowed == {("DeleteEndpoint", leased.arn)}
    del stand.sagemaker.store(stand.region).endpoints[leased.name]


def test_an_endpoint_ends_at_the_end_of_its_lease_and_extend_moves_it(
    stand: Stand, session: AwsSession, ours: Names, role: str, made: Endpoint
) -> None:
    first = lease_for(stand, session, ours, made, 8)
    assert first == pytest.approx(stand.scheduler.now() + 8 * HOUR, abs=60)
    assert stand.client("sagemaker").list_tags(ResourceArn=made.arn)["Tags"]
    stand.scheduler.advance(7 * HOUR)
    # A shorter one does not take time away.
    assert lease_for(stand, session, ours, made, 0.5) == pytest.approx(first, abs=2)
    later = lease_for(stand, session, ours, made, 48)
    stand.scheduler.advance(2 * HOUR)
    found = leases.find_lease(session, made.name)
    assert found and found.end == pytest.approx(later, abs=2) and found.role == role
    assert find_endpoint(session, made.name)
    stand.scheduler.advance(47 * HOUR)
    gone(stand, made.name)
    assert names(stand) == []


def test_use_moves_the_end_by_ten_minutes_or_more_and_creates_nothing(
    stand: Stand, session: AwsSession, ours: Names, role: str, made: Endpoint
) -> None:
    first = lease_for(stand, session, ours, made, 8)
    assert leases.lease_of(session, made.name) == "8h"
    now = stand.scheduler.now()
    # At most every ten minutes.
    assert leases.renew_lease(session, made.name, "8h", now + 500) == pytest.approx(first, abs=2)
    moved = leases.renew_lease(session, made.name, "8h", now + 1200)
    assert moved == pytest.approx(now + 1200 + 8 * HOUR, abs=2)
    found = leases.find_lease(session, made.name)
    assert found and moved and found.end == pytest.approx(moved, abs=2) and found.role == role
    # Never to an earlier time, and a tag that is no time moves nothing.
    for length in ("30m", "20 USD"):
        again = leases.renew_lease(session, made.name, length, now + 1200)
        assert again == pytest.approx(moved, abs=2)
    assert leases.renew_lease(session, made.name, "8h", moved + 60) is None
    leases.keep_endpoint(session, made.name)
    assert leases.lease_of(session, made.name) == ""
    assert leases.renew_lease(session, made.name, "8h", now) is None and names(stand) == []


def test_a_request_moves_the_end_beside_its_answer_and_a_refusal_is_said_once(
    stand: Stand,
    session: AwsSession,
    ours: Names,
    role: str,
    made: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("SAGETURNER_STATE_DIR", str(tmp_path / "state"))
    lease_for(stand, session, ours, made, 1)
    stand.sagemaker.store(stand.region).tag(made.arn, [{"Key": TAG_LEASE, "Value": "8h"}])
    release = threading.Event()
    monkeypatch.setattr(
        aws_endpoints, "invoke", lambda *_: SimpleNamespace(body=b"1", content_type="", headers={})
    )
    slow = session.scheduler.meta.events

    def wait(**_: Any) -> None:
        release.wait(60)

    slow.register("before-call.scheduler.GetSchedule", wait)
    target = SageMakerEndpoints(session)
    assert target.invoke(made.name, Request(b"{}")).body == b"1"
    release.set()
    finish_beside()
    found = leases.find_lease(session, made.name)
    assert found and found.end == pytest.approx(time.time() + 8 * HOUR, abs=120)
    assert known_ends()[made.name] == pytest.approx(found.end, abs=2)
    asked: list[str] = []
    slow.register("before-call.scheduler", lambda model, **_: asked.append(model.name))
    target.invoke(made.name, Request(b"{}"))
    finish_beside()
    assert asked == [] and caplog.text == ""

    policy = {"Effect": "Allow", "Action": ["sagemaker:*"], "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [policy]}
    keys = stand.create_user(f"invokes-{next(_numbers)}", document)
    boto = boto3.Session(keys.access_key, keys.secret_key, region_name=stand.region)
    other = SageMakerEndpoints(AwsSession("other", stand.region, "aws", boto))
    other.invoke(made.name, Request(b"{}"))
    finish_beside()
    assert caplog.text.count("did not move the end of its lease") == 1
    assert "scheduler:GetSchedule" in caplog.text
    leases.keep_endpoint(session, made.name)


def test_extend_uses_the_role_for_leases_that_the_configuration_names(
    stand: Stand, made: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in stand.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    config = f"name: {made.name}\nlease: 8h\noverrides: {{role_name: of-the-team}}\n"
    (tmp_path / "sageturner.yaml").write_text(config)
    with pytest.raises(AwsError, match=r"with the role of-the-team-lease"):
        sageturner_magic.extend(made.name, "8h")
    with pytest.raises(AwsError, match=r"with the role of-another-lease"):
        sageturner_magic.extend(made.name, "8h", config.replace("of-the-team", "of-another"))


def test_a_protected_endpoint_has_no_lease_and_is_not_deleted(
    stand: Stand, session: AwsSession, ours: Names, made: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stand.environment.items():
        monkeypatch.setenv(name, value)
    stand.sagemaker.store(stand.region).tag(made.arn, [{"Key": TAG_PROTECTED, "Value": "true"}])
    for refused in (
        lambda: sageturner_magic.delete(made.name),
        lambda: sageturner_magic.Endpoint(made.name).delete(),
    ):
        with pytest.raises(EndpointError, match=r"protected.*`protected: false`"):
            refused()
    with pytest.raises(EndpointError, match="protected"):
        lease_for(stand, session, ours, made, 8)
    assert made.name in stand.inventory()["endpoints"] and names(stand) == []
    assert sageturner_magic.status(made.name).detail.endswith("; protected")


def test_the_autoscaling_of_an_endpoint_that_is_gone_is_found(
    stand: Stand, session: AwsSession, made: Endpoint
) -> None:
    assert autoscaling.left_autoscaling(session, made.name) == ()
    made.variants.append({"VariantName": VARIANT, "InstanceType": "ml.m5.large"})
    wanted = Autoscaling(min=1, max=2, invocations_per_instance=100)
    autoscaling.ensure_autoscaling(session, made.name, wanted)
    stand.sagemaker.store(stand.region).endpoints.pop(made.name)
    left = autoscaling.left_autoscaling(session, made.name)
    assert left == (f"scalable target endpoint/{made.name}/variant/{VARIANT}",)
    autoscaling.remove(session, made.name)


class Quiet:
    """A reporter that keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, line: str) -> None:
        self.lines.append(line)

    def progress(self, done: float, total: float | None, unit: str, part: str = "") -> None: ...

    def checkpoint(self) -> None: ...


def test_a_budget_ends_an_endpoint_and_each_deployment_computes_it_anew(
    stand: Stand, session: AwsSession, ours: Names, role: str, made: Endpoint
) -> None:
    said = Quiet()

    def deploy(budget: str, most: int) -> tuple[Leasing, float]:
        scaling = Autoscaling(min=1, max=most, invocations_per_instance=100)
        compute = Server(instance_type="ml.m5.large", autoscaling=scaling)
        config = parse_config(
            f"name: {made.name}\nbudget: {budget}", folder=Path.cwd(), origin=Origin.file("")
        )
        spending = spending_of(session, config, compute)
        work = Leasing(session, ours, config, find_endpoint(session, made.name), spending)
        work.schedule(said, "the-next-version")
        tags = [{"Key": TAG_LEASE, "Value": work.tag}]
        stand.sagemaker.store(stand.region).tag(made.arn, tags)
        found = leases.find_lease(session, made.name)
        assert found
        return work, found.end - time.time()

    each = hourly(session, Server(instance_type="ml.m5.large"))
    assert each
    _, lasts = deploy("$20", 2)
    assert lasts == pytest.approx(20 / (2 * each) * HOUR, abs=60)
    assert "of at most 2 ml.m5.large" in said.lines[-1]
    # An update sets time aside for the instances of both versions.
    _, again = deploy("$20", 2)
    assert again == pytest.approx(lasts - 1800, abs=60)
    # More money, more time; use moves nothing; extend refuses.
    _, more = deploy("$30", 2)
    assert more == pytest.approx(again + 10 / (2 * each) * HOUR - 1800, abs=60)
    tag = leases.lease_of(session, made.name)
    assert tag.startswith("30 USD for 2 of ml.m5.large at ")
    end = leases.renew_lease(session, made.name, tag, time.time())
    assert end and end - time.time() == pytest.approx(more, abs=60)
    with pytest.raises(EndpointError, match="has a budget"):
        lease_for(stand, session, ours, made, 8)
    # Until autoscaling lets fewer run, as many count as before.
    work, fewer = deploy("$30", 1)
    assert fewer == pytest.approx(more - 1800, abs=60)
    work.scaled(said)
    found = leases.find_lease(session, made.name)
    assert found and found.end - time.time() == pytest.approx(2 * fewer, abs=60)
    assert leases.lease_of(session, made.name).startswith("30 USD for 1 of ml.m5.large")
    assert "because $30 pays for" in SageMakerEndpoints(session).describe(made.name).detail
    with pytest.raises(EndpointError, match=r"budget of .* is spent"):
        deploy("$0.30", 1)
    with pytest.raises(ConfigError, match="too small"):
        deploy("$0.01", 1)
    leases.keep_endpoint(session, made.name)


def test_keep_lets_an_endpoint_stay(
    stand: Stand, session: AwsSession, ours: Names, role: str, made: Endpoint
) -> None:
    lease_for(stand, session, ours, made, 1)
    assert leases.keep_endpoint(session, made.name)
    assert names(stand) == [] and not leases.keep_endpoint(session, made.name)
    stand.scheduler.advance(2 * HOUR)
    assert find_endpoint(session, made.name) and tried(stand, made.name) == []


def test_an_endpoint_created_anew_is_safe_from_a_schedule_that_was_left(
    stand: Stand, session: AwsSession, ours: Names, role: str, made: Endpoint
) -> None:
    leases.put_lease(session, made.name, stand.scheduler.now() + HOUR, role)
    stand.scheduler.advance(2 * HOUR)
    (refused,) = tried(stand, f"sageturner-lease-{made.name}")
    assert "not authorized" in refused and find_endpoint(session, made.name)


def test_a_lease_whose_end_has_come_is_not_extended(
    stand: Stand, session: AwsSession, ours: Names, role: str, made: Endpoint
) -> None:
    lease_for(stand, session, ours, made, 1)
    made.become("Updating")
    stand.scheduler.advance(1.1 * HOUR)
    # The scheduler's retry would come after any new end.
    with pytest.raises(EndpointError, match="has ended"):
        lease_for(stand, session, ours, made, 8)
    # keep is the way out: without the tag the retry is refused.
    assert leases.keep_endpoint(session, made.name)
    made.become("InService")
    stand.scheduler.advance(HOUR)
    assert find_endpoint(session, made.name)
    assert "not authorized" in tried(stand, f"sageturner-lease-{made.name}")[-1]


def test_extend_that_loses_against_the_end_says_so_and_leaves_nothing(
    stand: Stand, session: AwsSession, ours: Names, role: str, made: Endpoint
) -> None:
    lease_for(stand, session, ours, made, 1)
    stand.timing.deletion_s = 30

    def end(**_: Any) -> None:
        # The end comes after extend has looked and before it moves the schedule.
        session.scheduler.meta.events.unregister("before-call.scheduler.UpdateSchedule", end)
        stand.scheduler.advance(1.1 * HOUR)

    session.scheduler.meta.events.register("before-call.scheduler.UpdateSchedule", end)
    with pytest.raises(EndpointError, match="is being deleted"):
        lease_for(stand, session, ours, made, 8)
    assert names(stand) == []


def test_whoever_may_not_create_schedules_hears_it_and_nothing_is_created(
    stand: Stand, session: AwsSession, role: str
) -> None:
    leases.check_leases(session, "nothing", role)
    policy = {"Effect": "Allow", "Action": "sagemaker:*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [policy]}
    keys = stand.create_user(f"poor-{next(_numbers)}", document)
    boto = boto3.Session(keys.access_key, keys.secret_key, region_name=stand.region)
    with pytest.raises(AwsError, match="scheduler:CreateSchedule"):
        leases.check_leases(AwsSession(None, stand.region, "aws", boto), "nothing", role)
    assert names(stand) == []


def test_without_the_role_for_leases_extend_names_what_creates_it(
    stand: Stand, made: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stand.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(AwsError, match=r"does not exist.*has `lease`, such as `lease: 8h`"):
        sageturner_magic.extend(made.name, "8h")
    assert names(stand) == []


@pytest.mark.parametrize("seed", range(6))
def test_after_any_trace_an_endpoint_is_there_exactly_if_it_should_be(
    stand: Stand, session: AwsSession, ours: Names, role: str, made: Endpoint, seed: int
) -> None:
    """A model of a lease (its end, or none) beside the real calls, in random order."""
    drawn = random.Random(seed)
    end: float | None = None
    for _ in range(8):
        hours = drawn.choice((0.5, 3, 8, 48))
        match drawn.choice(("extend", "keep", "wait", "wait", "update")):
            case "extend":
                now = stand.scheduler.now()
                end = max(end or 0.0, now + hours * HOUR)
                lease_for(stand, session, ours, made, hours)
            case "keep":
                assert leases.keep_endpoint(session, made.name) == (end is not None)
                end = None
            case "wait":
                stand.scheduler.advance(hours * HOUR + 120)
            case "update":
                made.become("Updating")
                stand.scheduler.advance(60)
                made.become("InService")
                stand.scheduler.advance(60)
        if end is not None and end < stand.scheduler.now() - 1:
            gone(stand, made.name)
            break
        assert find_endpoint(session, made.name)
    leased = names(stand)
    stand.scheduler.advance(60 * 24 * HOUR)
    if leased:
        gone(stand, made.name)
    assert bool(leased) == (end is not None and end >= stand.scheduler.now() - 60 * 24 * HOUR - 1)
    assert names(stand) == []


@pytest.fixture
def project(stand: Stand, tmp_path: Path) -> Iterator[Project]:
    with nothing_left(stand):
        found = Project(stand, tmp_path, "leased")
        found.write_code()
        found.configure(lease="8h")
        yield found
        found.call("delete", found.name, "--yes", "-e", "serverless")
        found.call("teardown", "--yes")


@pytest.mark.docker
@pytest.mark.registry
def test_a_deployed_endpoint_ends_whatever_became_of_the_process_that_deployed_it(
    stand: Stand,
    session: AwsSession,
    ours: Names,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Without the role nothing is created.
    project.configure()
    project.run("setup")
    project.configure(lease="8h")
    before = stand.inventory()
    assert "The role for leases does not exist" in project.refused("plan", "-e", "serverless")
    assert "created role sageturner-role-sagemaker-lease" in project.run("setup").out
    planned = project.run("plan", "-e", "serverless").out
    assert "8h from the last use on; then AWS deletes the endpoint" in planned
    assert stand.inventory().keys() == before.keys()

    process = project.start("deploy", "-e", "serverless", "--no-smoke-test")
    try:
        wait_for(
            "the endpoint", lambda: project.name in stand.inventory().get("endpoints", []), 240
        )
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert names(stand) == ["sageturner-lease-leased"]
    (listed,) = project.json("list")["endpoints"]
    assert listed["ends"] == pytest.approx(stand.scheduler.now() + 8 * HOUR, abs=300)
    assert "ends at 20" in project.run("list").out
    stand.scheduler.advance(60)
    assert "ends at 20" in project.run("extend", project.name, "2d").out
    assert "not the length" in project.refused("extend", project.name, "soon")
    # A deployment does not take away what extend gave, and lease: none ends the lease.
    project.deploy("serverless", "--no-smoke-test")
    assert names(stand) == ["sageturner-lease-leased"]
    # A request moves an end that is nearer than the lease is long.
    leases.put_lease(session, project.name, stand.scheduler.now() + HOUR, ours.lease_role_arn)
    assert project.invoke({"x": 1}) == {"answer": 2}
    found = leases.find_lease(session, project.name)
    assert found and found.end > stand.scheduler.now() + 7 * HOUR
    project.configure(lease="none", protected=True)
    project.deploy("serverless", "--no-smoke-test")
    assert names(stand) == []
    assert "is protected" in project.refused("delete", project.name, "--yes", "-e", "serverless")
    project.configure(lease="30m")
    refused = project.refused("plan", "-e", "serverless")
    assert "is protected" in refused and "sageturner.yaml:" in refused
    project.configure(lease="30m", protected=False)
    project.deploy("serverless", "--no-smoke-test")
    tags = stand.client("sagemaker").list_tags(
        ResourceArn=sagemaker_arn(stand.region, "endpoint", project.name)
    )["Tags"]
    assert {"Key": TAG_LEASE, "Value": "30m"} in tags
    stand.scheduler.advance(HOUR)
    gone(stand, project.name)
    monkeypatch.setattr("sageturner_magic.endpoints.removal.remains.YOUNG_S", 0.0)
    listed = project.json("list")
    assert listed["endpoints"] == []
    (left,) = listed["left_overs"]
    assert left["name"] == project.name
    versions = [f"model and endpoint config {name}" for name in stand.inventory()["models"]]
    assert sorted(left["resources"]) == sorted(versions)
    assert f"`sageturner delete {project.name}` removes them" in project.run("list").err
    ended = project.run("invoke", project.name, '{"x": 1}', "-e", "serverless", fails=True).err
    assert "if it had a `lease`, that has ended" in ended and "nothing is built" in ended
    # What the end has left goes with delete, and the role with teardown.
    project.run("delete", project.name, "--yes", "-e", "serverless")
    assert "models" not in stand.inventory()
    project.run("teardown", "--yes")
    assert "roles" not in stand.inventory()


def test_the_policy_for_a_lease_is_printed_with_the_configuration(
    stand: Stand, tmp_path: Path
) -> None:
    project = Project(stand, tmp_path, "printed")
    project.write_code()
    project.configure()
    assert "scheduler:" not in project.run("setup", "--show-policy").out
    assert (
        "scheduler:CreateSchedule" in project.run("setup", "--show-policy", "--for", "extend").out
    )
    project.configure(lease="8h")
    whole = json.loads(project.run("setup", "--show-policy").out)
    statements = [each for document in whole.values() for each in document["Statement"]]
    passing = [each for each in statements if each["Action"] == ["iam:PassRole"]]
    assert {each["Condition"]["StringEquals"]["iam:PassedToService"] for each in passing} == {
        "sagemaker.amazonaws.com",
        SERVICE,
    }
