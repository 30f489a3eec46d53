"""An endpoint becomes what it shall be, whatever state it is found in."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest

from sageturner_magic.aws.endpoints import (
    autoscaling,
    capacity,
    endpoint,
    rollback,
    rollout,
    versions,
)
from sageturner_magic.aws.endpoints.endpoint import EndpointState
from sageturner_magic.aws.endpoints.spec import EndpointSpec
from sageturner_magic.aws.freshness import once_seen
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.config import Autoscaling, Server, Serverless
from sageturner_magic.deployment.plans.undone import undone
from sageturner_magic.errors import AwsError, DeploymentCancelled, EndpointError
from tests.unit.aws.fake import NOW, PREFIX, Clock, FakeSageMaker

ROLE = "arn:aws:iam::123456789012:role/sageturner-role-sagemaker"
FIRST = EndpointSpec(
    "digits", "repo@sha256:" + "1" * 64, ROLE, Server(instance_type="ml.m5.large"), "s3://b/1"
)
SECOND = dataclasses.replace(FIRST, image="repo@sha256:" + "2" * 64)
THIRD = dataclasses.replace(FIRST, image="repo@sha256:" + "3" * 64)


@pytest.fixture
def aws(session: AwsSession) -> FakeSageMaker:
    return FakeSageMaker(session)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def deploy(session: AwsSession, spec: EndpointSpec, clock: Clock) -> str:
    deed = rollout.apply_spec(session, spec, pause=clock.pause)
    *_, last = rollout.watch(session, spec.name, pause=clock.pause, clock=clock.time)
    rollout.settle(session, last.endpoint, spec.resource, 12.4)
    return deed


def test_a_new_endpoint_is_created_with_model_config_and_tags(
    session: AwsSession, aws: FakeSageMaker, clock: Clock
) -> None:
    assert deploy(session, FIRST, clock) == "created"
    assert list(aws.models) == list(aws.configs) == [FIRST.resource]
    found = endpoint.find_endpoint(session, "digits")
    assert found and found.ours and found.status == "InService"
    assert found.version == found.tags["sageturner:version"] == FIRST.version
    assert found.tags["sageturner:created-by"] == "assumed-role/Ops/ann"
    assert found.tags["sageturner:seconds"] == "12"


def test_the_same_again_does_nothing(session: AwsSession, aws: FakeSageMaker, clock: Clock) -> None:
    deploy(session, FIRST, clock)
    aws.calls.clear()
    assert rollout.apply_spec(session, FIRST) == "unchanged"
    assert "UpdateEndpoint" not in aws.calls and "CreateEndpoint" not in aws.calls


def test_new_tags_of_the_user_reach_an_unchanged_endpoint(
    session: AwsSession, aws: FakeSageMaker, clock: Clock
) -> None:
    deploy(session, FIRST, clock)
    assert (
        rollout.apply_spec(session, dataclasses.replace(FIRST, tags={"team": "a"})) == "unchanged"
    )
    assert aws.tags[f"{PREFIX}endpoint/digits"]["team"] == "a"


def test_a_change_updates_in_place_and_the_former_version_stays(
    session: AwsSession, aws: FakeSageMaker, clock: Clock
) -> None:
    deploy(session, FIRST, clock)
    assert deploy(session, SECOND, clock) == "updated"
    assert "DeleteEndpoint" not in aws.calls
    found = endpoint.our_endpoint(session, "digits")
    assert found.version == SECOND.version
    assert found.tags["sageturner:previous"] == FIRST.version
    found_versions = versions.list_versions(session, "digits")
    assert [v.version for v in found_versions] == [SECOND.version, FIRST.version]
    assert all(v.servable for v in found_versions)


def test_an_interrupted_deployment_goes_on_where_it_was(
    session: AwsSession, aws: FakeSageMaker, clock: Clock
) -> None:
    rollout.apply_spec(session, FIRST)  # and then the process was killed
    assert deploy(session, FIRST, clock) == "under way"
    rollout.apply_spec(session, SECOND)
    assert deploy(session, SECOND, clock) == "under way"
    assert aws.calls.count("CreateEndpoint") == aws.calls.count("UpdateEndpoint") == 1


@pytest.mark.parametrize("last", ["CreateModel", "CreateEndpointConfig"])
def test_one_killed_before_the_endpoint_was_made_goes_on_too(
    session: AwsSession, aws: FakeSageMaker, clock: Clock, last: str
) -> None:
    following = {"CreateModel": "CreateEndpointConfig", "CreateEndpointConfig": "CreateEndpoint"}
    aws.refuse[following[last]] = ["killed"]
    with pytest.raises(AwsError):
        rollout.apply_spec(session, FIRST)
    assert deploy(session, FIRST, clock) == "created"
    assert len(aws.models) == len(aws.configs) == len(aws.endpoints) == 1


def test_another_change_under_way_is_explained(
    session: AwsSession, aws: FakeSageMaker, clock: Clock
) -> None:
    aws.ticks = 99
    rollout.apply_spec(session, FIRST)
    with pytest.raises(EndpointError, match=r"is being created.*sageturner status digits"):
        rollout.apply_spec(session, SECOND)
    with pytest.raises(EndpointError, match="is being created"):
        endpoint.delete_endpoint(session, "digits")


@pytest.mark.parametrize(("theirs", "result"), [(FIRST, "under way"), (SECOND, None)])
def test_of_two_first_deployments_one_wins_and_the_other_says_so(
    session: AwsSession, aws: FakeSageMaker, theirs: EndpointSpec, result: str | None
) -> None:
    def other(**_: Any) -> None:
        session.sagemaker.meta.events.unregister(
            "before-parameter-build.sagemaker.CreateEndpoint", other
        )
        rollout.apply_spec(session, theirs)

    session.sagemaker.meta.events.register("before-parameter-build.sagemaker.CreateEndpoint", other)
    if result:
        assert rollout.apply_spec(session, FIRST) == result
    else:
        with pytest.raises(EndpointError, match="Another deployment of digits was faster"):
            rollout.apply_spec(session, FIRST)


def test_of_two_updates_one_wins_and_the_other_says_so(
    session: AwsSession, aws: FakeSageMaker, clock: Clock
) -> None:
    deploy(session, FIRST, clock)
    aws.refuse["UpdateEndpoint"] = [f'Cannot update in-progress endpoint "{PREFIX}endpoint/d".']
    with pytest.raises(EndpointError, match="was faster"):
        rollout.apply_spec(session, SECOND)


def test_a_failed_endpoint_of_ours_is_replaced(
    session: AwsSession, aws: FakeSageMaker, clock: Clock
) -> None:
    aws.fails.add(FIRST.resource)
    with pytest.raises(EndpointError) as caught:
        deploy(session, FIRST, clock)
    (finding,) = caught.value.findings
    assert "xgboost" in finding.why and "python_packages" in finding.do
    assert "ping health check" in finding.details and "ModuleNotFoundError" in finding.details
    assert deploy(session, SECOND, clock) == "replaced"
    assert endpoint.our_endpoint(session, "digits").version == SECOND.version


def test_an_update_that_fails_says_that_the_former_version_serves(
    session: AwsSession, aws: FakeSageMaker, clock: Clock
) -> None:
    deploy(session, FIRST, clock)
    aws.fails.add(SECOND.resource)
    with pytest.raises(EndpointError, match="digits serves its former version again"):
        deploy(session, SECOND, clock)
    assert endpoint.our_endpoint(session, "digits").version == FIRST.version
    assert deploy(session, THIRD, clock) == "updated"


def test_an_endpoint_that_is_not_ours_is_not_touched(
    session: AwsSession, aws: FakeSageMaker, clock: Clock
) -> None:
    deploy(session, FIRST, clock)
    aws.tags[f"{PREFIX}endpoint/digits"] = {"team": "other"}
    aws.calls.clear()
    for touch in (
        lambda: rollout.apply_spec(session, SECOND),
        lambda: rollback.roll_back(session, "digits"),
        lambda: endpoint.delete_endpoint(session, "digits"),
    ):
        with pytest.raises(EndpointError, match="was not made by sageturner"):
            touch()
    assert {call for call in aws.calls if not call.startswith(("Describe", "List"))} == set()
    assert endpoint.list_endpoints(session) == ()


@pytest.mark.parametrize(("age", "seen"), [(5, True), (60, False)])
def test_tags_of_a_new_endpoint_may_be_seen_late(
    session: AwsSession,
    aws: FakeSageMaker,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    age: int,
    seen: bool,
) -> None:
    deploy(session, FIRST, clock)
    monkeypatch.setattr(time, "time", lambda: NOW.timestamp() + age)
    monkeypatch.setitem(once_seen.__kwdefaults__, "pause", lambda seconds: None)
    for read in (
        lambda: [each.name for each in endpoint.list_endpoints(session)] == ["digits"],
        lambda: bool((found := endpoint.find_endpoint(session, "digits")) and found.ours),
        lambda: versions.find_version(session, FIRST.resource) is not None,
    ):
        aws.late_tags = 2
        assert read() == seen
        aws.late_tags = 0


def test_instances_do_not_become_serverless_but_the_reverse_works(
    session: AwsSession, aws: FakeSageMaker, clock: Clock
) -> None:
    serverless = dataclasses.replace(FIRST, compute=Serverless(memory=2048, max_concurrency=5))
    deploy(session, serverless, clock)
    assert deploy(session, FIRST, clock) == "updated"
    with pytest.raises(EndpointError, match=r"cannot become serverless.*sageturner delete digits"):
        rollout.apply_spec(session, serverless)


class TestPatience:
    ROLE = f"Could not assume role {ROLE}. Please ensure that the role exists."
    CONFIG = f'Could not find endpoint configuration "{PREFIX}endpoint-config/x".'

    def test_a_role_that_is_too_new_is_tried_again(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        aws.refuse = {"CreateModel": [self.ROLE] * 4, "CreateEndpoint": [self.CONFIG] * 2}
        assert rollout.apply_spec(session, FIRST, pause=clock.pause) == "created"
        assert clock.pauses == [1, 2, 4, 8, 1, 2]

    def test_a_permission_that_is_too_new_is_waited_for_and_told_once(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        late = f"The role '{ROLE}' does not have BatchGetImage permission for the image: 'x'."
        aws.refuse = {"CreateModel": [late] * 3}
        said: list[str] = []
        deed = rollout.apply_spec(session, FIRST, pause=clock.pause, say=said.append)
        assert deed == "created" and clock.pauses == [1, 2, 4]
        (line,) = said
        assert line.startswith("waiting up to 60 s: ") and late in line

    @pytest.mark.parametrize(
        ("state", "early"),
        [
            (EndpointState("digits", status="Failed", failure_reason=ROLE), True),
            (EndpointState("digits", status="InService", config="old", failure_reason=ROLE), True),
            (EndpointState("digits", status="InService", config="new", failure_reason=ROLE), False),
            (EndpointState("digits", status="Failed", failure_reason="No capacity"), False),
            (EndpointState("digits", status="Failed"), False),
        ],
    )
    def test_a_change_that_failed_because_of_a_new_role_came_too_early(
        self, state: EndpointState, early: bool
    ) -> None:
        assert rollout.came_too_early(state, "new") == early

    def test_for_a_minute_and_no_longer(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        aws.refuse = {"CreateModel": [self.ROLE] * 99}
        with pytest.raises(AwsError, match=r"may not use the execution role.*sageturner setup"):
            rollout.apply_spec(session, FIRST, pause=clock.pause)
        assert 60 <= clock.now < 80

    @pytest.mark.parametrize(
        ("refusal", "told"),
        [
            ("The image is bad", "The image is bad"),
            ("Could not find model data at s3://b/1.", "not where the model looks"),
        ],
    )
    def test_other_refusals_are_told_at_once(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock, refusal: str, told: str
    ) -> None:
        aws.refuse = {"CreateModel": [refusal]}
        with pytest.raises(AwsError, match=told):
            rollout.apply_spec(session, FIRST, pause=clock.pause)
        assert clock.pauses == []


class TestWatch:
    def test_shows_each_second_and_asks_less_and_less(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        aws.ticks = 20
        rollout.apply_spec(session, FIRST)
        aws.calls.clear()
        updates = list(rollout.watch(session, "digits", pause=clock.pause, clock=clock.time))
        assert [u.elapsed for u in updates] == [float(i) for i in range(len(updates))]
        assert len(updates) > 3 * len(aws.calls)
        assert {u.endpoint.status for u in updates} == {"Creating", "InService"}
        assert updates[-1].endpoint.settled

    def test_ends_with_what_the_pause_raises(self, session: AwsSession, aws: FakeSageMaker) -> None:
        def cancel(now: float) -> None:
            raise DeploymentCancelled("Cancelled")

        clock = Clock(cancel)
        rollout.apply_spec(session, FIRST)
        with pytest.raises(DeploymentCancelled):
            list(rollout.watch(session, "digits", pause=clock.pause, clock=clock.time))

    def test_an_endpoint_that_is_gone_ends_it(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        (update,) = rollout.watch(session, "none", pause=clock.pause, clock=clock.time)
        assert update.endpoint.status == endpoint.GONE
        with pytest.raises(EndpointError, match="was deleted while"):
            rollout.settle(session, update.endpoint, "none-1", 1)


class TestRollback:
    def test_goes_back_to_what_served_before_and_forth_again(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        for spec in (FIRST, SECOND, FIRST):
            deploy(session, spec, clock)
        for expected in (SECOND, FIRST, SECOND):
            target = rollback.roll_back(session, "digits", pause=clock.pause)
            assert target.version == expected.version
            *_, last = rollout.watch(session, "digits", pause=clock.pause, clock=clock.time)
            rollout.settle(session, last.endpoint, target.resource, 1)
        assert len(aws.endpoints) == 1

    def test_goes_to_the_version_that_is_named(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        for spec in (FIRST, SECOND, THIRD):
            deploy(session, spec, clock)
        assert rollback.roll_back(session, "digits", FIRST.version).image == FIRST.image

    def test_says_which_versions_there_are(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        deploy(session, FIRST, clock)
        with pytest.raises(EndpointError, match="There is no earlier version of digits"):
            rollback.roll_back(session, "digits")
        deploy(session, SECOND, clock)
        with pytest.raises(EndpointError, match=rf"no version ffff.*versions: {FIRST.version}"):
            rollback.roll_back(session, "digits", "ffff")
        with pytest.raises(EndpointError, match="There is no endpoint nothing"):
            rollback.roll_back(session, "nothing")


class TestAutoscaling:
    WANTED = Autoscaling(min=1, max=4, invocations_per_instance=100.0)
    LARGER = dataclasses.replace(SECOND, compute=Server(instance_type="ml.m5.xlarge"))

    def test_is_set_up_changed_and_taken_off(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        deploy(session, FIRST, clock)
        assert autoscaling.ensure_autoscaling(session, "digits", None) == ""
        assert "from 1 to 4" in autoscaling.ensure_autoscaling(session, "digits", self.WANTED)
        assert autoscaling.describe(session, "digits") == self.WANTED
        assert autoscaling.ensure_autoscaling(session, "digits", self.WANTED) == ""
        more = self.WANTED.model_copy(update={"max": 6})
        assert "to 6" in autoscaling.ensure_autoscaling(session, "digits", more)
        assert "off" in autoscaling.ensure_autoscaling(session, "digits", None)
        assert autoscaling.describe(session, "digits") is None

    def test_an_update_keeps_the_instances_that_it_has_reached(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        deploy(session, FIRST, clock)
        autoscaling.ensure_autoscaling(session, "digits", self.WANTED)
        rollout.apply_spec(session, SECOND)
        assert aws.endpoints["digits"]["request"]["RetainAllVariantProperties"] is True
        assert autoscaling.describe(session, "digits") == self.WANTED

    def test_it_is_taken_off_before_the_instance_type_changes(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        deploy(session, FIRST, clock)
        autoscaling.ensure_autoscaling(session, "digits", self.WANTED)
        rollout.apply_spec(session, self.LARGER)
        assert autoscaling.describe(session, "digits") is None
        assert "RetainAllVariantProperties" not in aws.endpoints["digits"]["request"]

    def test_deleting_the_endpoint_takes_it_off(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        deploy(session, FIRST, clock)
        autoscaling.ensure_autoscaling(session, "digits", self.WANTED)
        endpoint.delete_endpoint(session, "digits")
        # The endpoint goes first: taking autoscaling off may be refused.
        assert aws.targets
        assert endpoint.release_endpoint(session, "digits") == ()
        assert aws.targets == {}


class TestDelete:
    def test_removes_the_endpoint_and_its_versions_and_may_be_repeated(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        deploy(session, FIRST, clock)
        deploy(session, SECOND, clock)
        former = versions.list_versions(session, "digits")
        for _ in range(2):
            endpoint.delete_endpoint(session, "digits")
            rollout.wait_until_gone(session, "digits", pause=clock.pause, clock=clock.time)
            for version in former:
                versions.delete_version(session, version)
        assert (aws.endpoints, aws.configs, aws.models) == ({}, {}, {})

    def test_a_version_that_serves_is_kept(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        deploy(session, FIRST, clock)
        (version,) = versions.list_versions(session, "digits")
        with pytest.raises(EndpointError, match="still serves version"):
            versions.delete_version(session, version)

    def test_what_an_interruption_left_is_listed_and_deleted(
        self, session: AwsSession, aws: FakeSageMaker
    ) -> None:
        aws.refuse["CreateEndpointConfig"] = ["killed"]
        with pytest.raises(AwsError):
            rollout.apply_spec(session, FIRST)
        (half,) = versions.list_versions(session)
        assert not half.servable and half.image == FIRST.image
        versions.delete_version(session, half)
        assert versions.list_versions(session) == ()

    def test_versions_of_others_are_not_listed(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        deploy(session, FIRST, clock)
        deploy(session, dataclasses.replace(FIRST, name="digits-2"), clock)
        session.sagemaker.create_model(ModelName="digits-0123456789ab", Tags=[])
        session.sagemaker.create_model(ModelName="something-else", Tags=[])
        assert [v.name for v in versions.list_versions(session, "digits")] == ["digits"]
        assert {v.name for v in versions.list_versions(session)} == {"digits", "digits-2"}
        assert [e.name for e in endpoint.list_endpoints(session)] == ["digits", "digits-2"]

    def test_one_that_does_not_go_is_told(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        deploy(session, FIRST, clock)
        aws.ticks = 10_000
        endpoint.delete_endpoint(session, "digits")
        with pytest.raises(EndpointError, match=r"was not deleted.*Deleting"):
            rollout.wait_until_gone(session, "digits", pause=clock.pause, clock=clock.time)


def test_a_deployment_that_another_one_followed_did_not_fail(
    session: AwsSession, aws: FakeSageMaker, clock: Clock
) -> None:
    deploy(session, FIRST, clock)
    deploy(session, SECOND, clock)
    serving = endpoint.find_endpoint(session, "digits")
    assert serving
    with pytest.raises(EndpointError, match="Another deployment of digits has followed") as caught:
        rollout.settle(session, serving, FIRST.resource, 12.4)
    assert SECOND.version in caught.value.findings[0].why
    assert "delete" not in caught.value.findings[0].do


def test_what_another_deployment_brings_is_named() -> None:
    state = endpoint.EndpointState(
        "digits", status="Updating", config=FIRST.resource, pending=SECOND.resource, modified=1e9
    )
    (finding,) = endpoint.busy(state).findings
    assert state.changing and f"version {SECOND.version} is on its way since" in finding.why
    assert "wait until `sageturner status digits` shows it settled" in finding.do


def changed_by_others(aws: FakeSageMaker, **variant: Any) -> None:
    """Somebody has the endpoint serve a config of their own."""
    settings = {"VariantName": "AllTraffic", "ModelName": "theirs", **variant}
    aws.create_endpoint_config("digits-2026-11-29", [], ProductionVariants=[settings])
    aws.endpoints["digits"].update(EndpointConfigName="digits-2026-11-29")


class TestChangedByOthers:
    def test_what_runs_is_told_by_their_config_and_by_what_runs(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        deploy(session, FIRST, clock)
        changed_by_others(aws, InstanceType="ml.m5.2xlarge", InitialInstanceCount=2)
        count = {"CurrentInstanceCount": 4, "DesiredInstanceCount": 4}
        aws.endpoints["digits"]["ProductionVariants"] = [{"VariantName": "AllTraffic", **count}]
        present = endpoint.our_endpoint(session, "digits")
        (compute,) = versions.running_on(session, present)
        assert isinstance(compute, Server) and present.version == ""
        assert (compute.instance_type, compute.initial_instance_count) == ("ml.m5.2xlarge", 4)

    def test_what_runs_is_told_where_the_config_is_gone(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        deploy(session, FIRST, clock)
        aws.delete_endpoint_config(FIRST.resource)
        assert versions.running_on(session, endpoint.our_endpoint(session, "digits")) == ()
        serverless = {"MemorySizeInMB": 3072, "MaxConcurrency": 5, "ProvisionedConcurrency": 2}
        aws.endpoints["digits"]["ProductionVariants"] = [
            {"VariantName": "AllTraffic", "CurrentServerlessConfig": serverless}
        ]
        (compute,) = versions.running_on(session, endpoint.our_endpoint(session, "digits"))
        assert isinstance(compute, Serverless)
        assert (compute.memory, compute.provisioned_concurrency) == (3072, 2)

    def test_a_rollback_undoes_their_change(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        deploy(session, FIRST, clock)
        deploy(session, SECOND, clock)
        changed_by_others(aws, InstanceType="ml.m5.large", InitialInstanceCount=1)
        assert rollback.rollback_target(session, "digits")[1].version == SECOND.version

    def test_a_plan_says_what_deploying_undoes(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        deploy(session, FIRST, clock)
        present = endpoint.our_endpoint(session, "digits")
        assert undone(session, present, FIRST.compute) == ()
        changed_by_others(aws, InstanceType="ml.m5.2xlarge", InitialInstanceCount=2)
        present = endpoint.our_endpoint(session, "digits")
        (finding,) = undone(session, present, FIRST.compute)
        assert "digits-2026-11-29 (2 of ml.m5.2xlarge)" in finding.why
        assert finding.severity == "warning"

    def test_instances_that_autoscaling_left_are_set_back_and_a_plan_says_so(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        deploy(session, FIRST, clock)
        count = {"CurrentInstanceCount": 4, "DesiredInstanceCount": 4}
        aws.endpoints["digits"]["ProductionVariants"] = [{"VariantName": "AllTraffic", **count}]
        (finding,) = undone(session, endpoint.our_endpoint(session, "digits"), FIRST.compute)
        assert finding.what == "Deploying sets digits from 4 to 1 instances"
        assert capacity.set_instances(session, "digits", 1) == "set the instances from 4 to 1"
        assert capacity.set_instances(session, "digits", 1) == ""
        assert endpoint.our_endpoint(session, "digits").instances == (1, 1)

    def test_the_way_to_instances_is_announced_and_the_way_back_refused(
        self, session: AwsSession, aws: FakeSageMaker, clock: Clock
    ) -> None:
        serverless = Serverless(memory=2048, max_concurrency=5)
        deploy(session, dataclasses.replace(FIRST, compute=serverless, artefact_uri=None), clock)
        present = endpoint.our_endpoint(session, "digits")
        (finding,) = undone(session, present, Server(instance_type="ml.m5.large"))
        assert finding.severity == "warning" and "for good" in finding.what
        deploy(session, FIRST, clock)
        present = endpoint.our_endpoint(session, "digits")
        (finding,) = undone(session, present, serverless)
        assert finding.severity == "error" and "cannot become serverless" in finding.what
        aws.calls.clear()
        with pytest.raises(EndpointError, match="cannot become serverless"):
            rollback.rollback_target(session, "digits")
        assert all(call.startswith(("Describe", "List")) for call in aws.calls)
