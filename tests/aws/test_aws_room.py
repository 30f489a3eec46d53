"""The calls of `sageturner_magic.aws` against the stand: what they need, and what they survive."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest

from sageturner_magic.aws import ecr
from sageturner_magic.aws.account import lease_role, pricing, quotas, role_setup, roles
from sageturner_magic.aws.account.policies import PERMISSION_SETS, PermissionSet
from sageturner_magic.aws.account.policy_documents import caller_policy
from sageturner_magic.aws.account.resources import Scope
from sageturner_magic.aws.endpoints import (
    autoscaling,
    logs,
    metrics,
    rollback,
    rollout,
    runtime,
    versions,
)
from sageturner_magic.aws.endpoints import (
    endpoint as sagemaker,
)
from sageturner_magic.aws.endpoints import (
    lease as leases,
)
from sageturner_magic.aws.endpoints.spec import EndpointSpec
from sageturner_magic.aws.names import Names, log_group, names_in
from sageturner_magic.aws.permissions import actions
from sageturner_magic.aws.secrets import put_secret, secret_findings
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.aws.storage import s3, upload
from sageturner_magic.aws.storage.bucket import bucket_findings, delete_bucket, ensure_bucket
from sageturner_magic.config import Autoscaling, Server, Serverless
from sageturner_magic.errors import AwsError, EndpointError, InvocationError
from sageturner_magic.values import Artefact, Request

pytest.importorskip("tests.stand.stand", reason="the stand is not in this checkout")

pytestmark = [pytest.mark.docker, pytest.mark.registry]

Push = Callable[..., str]
_numbers = count()

REGISTRY = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
}
# See test_other_repositories.py.
SHARED_LAYERS = {"ecr:GetAccountSetting", "ecr:PutAccountSetting"}
SECRETS = ("room/hf#token", "ssm:/room/key#token")
# What a verb needs only when something special happens, or what AWS asks for in its stead.
SELDOM: dict[str, set[str]] = {
    "setup": {
        "s3:PutBucketOwnershipControls",  # drift: a new bucket is made with them
        "iam:TagRole",
        "iam:UpdateAssumeRolePolicy",  # drift
        "iam:PutRolePermissionsBoundary",  # drift
        "iam:DeleteRolePolicy",  # an account that version 0.2 has set up
        "iam:ListRolePolicies",
        "ecr:DescribeImages",
        "ecr:TagResource",
        "ecr:PutImageScanningConfiguration",  # drift
        "ecr:PutImageTagMutability",  # drift
        *SHARED_LAYERS,
        "secretsmanager:DescribeSecret",  # a secret's own key, see test_secrets.py
        "ssm:DescribeParameters",
    },
    "plan": {
        "ecr:BatchCheckLayerAvailability",  # without Docker, see test_other_repositories.py
        "ecr:GetAuthorizationToken",
        "iam:GetPolicy",  # a role with managed policies
        "iam:GetPolicyVersion",
        "iam:PassRole",
    },
    "deploy": {
        *REGISTRY,
        "ecr:GetAuthorizationToken",
        "ecr:CreateRepository",
        "ecr:PutImageScanningConfiguration",
        "ecr:PutImageTagMutability",
        "ecr:PutLifecyclePolicy",
        "ecr:TagResource",
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
        "iam:PassRole",
        "iam:CreateServiceLinkedRole",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:DeleteAlarms",
        "sagemaker:UpdateEndpointWeightsAndCapacities",
        "sagemaker:DeleteEndpoint",  # an endpoint that has failed
        "sagemaker:DescribeModel",  # its plan looks at the version that serves
        "s3:AbortMultipartUpload",  # a cancelled upload
        "s3:ListMultipartUploadParts",  # an upload that is resumed
    },
    "invoke": {"iam:PassRole"},
    "logs": set(),
    "list": {
        "application-autoscaling:DescribeScalingPolicies",  # an endpoint that scales
        "ecr:DescribeRepositories",
        "ecr:ListTagsForResource",
    },
    "rollback": {
        "application-autoscaling:DeregisterScalableTarget",  # another instance type
        "application-autoscaling:DescribeScalingPolicies",
        "cloudwatch:DeleteAlarms",
        "logs:DescribeLogStreams",  # a roll-back that fails
        "logs:GetLogEvents",
    },
    "delete": {
        "cloudwatch:DeleteAlarms",
        "ecr:DescribeRepositories",
        "ecr:ListTagsForResource",
        "s3:AbortMultipartUpload",
    },
    "teardown": {
        *SHARED_LAYERS,
        "ecr:DescribeImages",
        "iam:DetachRolePolicy",  # a policy that somebody attached
        "iam:PutRolePolicy",  # another project of the region
        "s3:AbortMultipartUpload",
    },
    "secret": set(),
    "lease": {"iam:PassRole", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel"},
}


class Quiet:
    def log(self, line: str) -> None: ...

    def progress(self, done: float, total: float | None, unit: str, part: str = "") -> None: ...

    def checkpoint(self) -> None: ...


def session_of(stand: Any, policy: dict[str, Any] | None = None) -> AwsSession:
    """A session of a new user who has exactly `policy`; of the administrator without one."""
    keys = stand.create_user(f"user-{next(_numbers)}", policy) if policy else stand.admin
    boto = boto3.Session(keys.access_key, keys.secret_key, region_name=stand.region)
    return AwsSession(None, stand.region, "aws", boto)


class Recorder:
    """A user with the policy of one verb, and the actions that their calls have used."""

    def __init__(self, stand: Any, ours: Names, verb: PermissionSet) -> None:
        scope = Scope(ours, secrets=SECRETS, leases=True)
        self.session = session_of(stand, caller_policy(scope, [verb]))
        self.used: set[str] = set()
        self.session._boto.events.register("before-call", self._record)

    def _record(self, model: Any, **_: Any) -> None:
        self.used |= set(actions(model.service_model.service_name, model.name))


@pytest.fixture
def ours(stand: Any) -> Names:
    return names_in(session_of(stand))


@pytest.fixture
def clean(stand: Any, ours: Names) -> Iterator[None]:
    """Nothing of ours is there at the beginning, whoever was here before, nor left at the end."""
    _clean(stand, ours)
    yield
    stand.faults.clear()
    _clean(stand, ours)


def _clean(stand: Any, ours: Names) -> None:
    admin = session_of(stand)
    for endpoint in sagemaker.list_endpoints(admin):
        for _ in rollout.watch(admin, endpoint.name):
            pass
        sagemaker.delete_endpoint(admin, endpoint.name)
        rollout.wait_until_gone(admin, endpoint.name)
    for version in versions.list_versions(admin):
        versions.delete_version(admin, version)
    for group in logs.our_log_groups(admin):
        logs.delete_log_group(admin, group)
    delete_bucket(admin, ours)
    ecr.delete_repository(admin, ours)
    role_setup.release_role(admin, ours)


def artefact(folder: Path, text: str = "42") -> Artefact:
    folder.mkdir(parents=True)
    (folder / "w.txt").write_text(text)
    return Artefact(folder, hashlib.sha256(text.encode()).hexdigest(), len(text), 1)


def deploy(session: AwsSession, spec: EndpointSpec) -> str:
    deed = rollout.apply_spec(session, spec)
    *_, last = rollout.watch(session, spec.name)
    rollout.settle(session, last.endpoint, spec.resource, last.elapsed)
    return deed


def test_the_policy_of_each_verb_suffices_for_it_and_holds_nothing_else(
    stand: Any, ours: Names, clean: None, push: Push, model_image: str, tmp_path: Path
) -> None:
    users = {verb: Recorder(stand, ours, verb) for verb in PERMISSION_SETS}
    setup, plan, deployer, invoker, reader, lister, roller, deleter, breaker, storer, leaser = (
        users[verb].session for verb in PERMISSION_SETS
    )
    before = stand.inventory()

    role_setup.ensure_role(setup, ours)
    lease_role.ensure_lease_role(setup, ours)
    ensure_bucket(setup, ours)
    ecr.ensure_repository(setup, ours)

    assert lease_role.lease_role_findings(plan, ours) == ()
    leases.check_leases(plan, "digits", ours.lease_role_arn)
    role = roles.resolve_role(plan, ours)
    assert role and roles.role_findings(role, ours) == ()
    assert bucket_findings(plan, ours) == ()
    assert ecr.find_repository(plan, ours)
    assert ecr.find_image(plan, ours, tag="digits-1", architecture="amd64") is None
    assert sagemaker.find_endpoint(plan, "digits") is None
    assert pricing.hourly(plan, Server(instance_type="ml.m5.xlarge", initial_instance_count=2))
    assert (
        quotas.quota_findings(plan, Server(instance_type="ml.m5.xlarge", initial_instance_count=2))
        == ()
    )
    assert quotas.quota_findings(plan, Serverless(memory=6144, max_concurrency=5)) == ()

    for secret in SECRETS:
        assert "token" not in put_secret(storer, secret, "hidden")
    for each in (plan, deployer):
        assert secret_findings(each, dict(zip("AB", SECRETS, strict=True))) == ()

    ecr.ensure_repository(deployer, ours)
    keys = stand.create_user("pusher", caller_policy(Scope(ours), ["deploy"]))
    push(model_image, ours.repository, "digits-1", keys)
    image = ecr.find_image(deployer, ours, tag="digits-1", architecture="amd64")
    assert image
    packed = artefact(tmp_path / "model")
    uri = upload.upload_archive(deployer, ours, packed, Quiet())
    prefix = upload.upload_prefix(deployer, ours, packed, Quiet())
    for address in (uri, prefix):
        assert s3.uri_findings(plan, address, role) == ()
        assert s3.uri_findings(deployer, address, role) == ()
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "w.bin").write_bytes(bytes(range(256)) * 4 * 9000)
    large = Artefact(tmp_path / "large", "f" * 64, 256 * 4 * 9000, 1)
    upload.upload_prefix(deployer, ours, large, Quiet())
    spec = EndpointSpec("digits", image.pinned, role.arn, Server(instance_type="ml.m5.large"), uri)
    assert quotas.quota_findings(deployer, spec.compute) == ()
    assert roles.resolve_role(deployer, ours) == role
    assert pricing.hourly(deployer, spec.compute)
    assert deploy(deployer, spec) == "created"
    assert autoscaling.ensure_autoscaling(
        deployer, "digits", Autoscaling(min=1, max=3, invocations_per_instance=100)
    )
    assert autoscaling.ensure_autoscaling(deployer, "digits", None)
    second = dataclasses.replace(spec, environment={"COLOUR": "red"}, artefact_uri=prefix)
    assert deploy(deployer, second) == "updated"
    assert logs.tail_log(deployer, log_group("digits"))
    day = 24 * 3600.0
    leased = sagemaker.find_endpoint(deployer, "digits")
    assert leased and leases.find_lease(deployer, "digits") is None
    for days in (1, 2):
        leases.put_lease(deployer, "digits", time.time() + days * day, ours.lease_role_arn)
    leases.mark_leased(deployer, leased, "2d")
    leases.end_lease(deployer, leased)
    assert lease_role.lease_role_findings(leaser, ours) == ()
    leases.extend_lease(leaser, ours, "digits", "1d", day, time.time())
    leases.extend_lease(leaser, ours, "digits", "2d", 2 * day, time.time())
    assert leases.find_lease(lister, "digits")
    assert leases.lease_of(invoker, "digits") == "1d"
    assert leases.renew_lease(invoker, "digits", "3d", time.time())
    assert leases.keep_endpoint(leaser, "digits")

    ask = Request(b'{"do": "file", "name": "w.txt"}')
    assert runtime.invoke(invoker, "digits", ask).body == b"42"
    stream = Request(b'{"do": "stream", "parts": ["a", "b"]}')
    assert b"".join(runtime.invoke_stream(invoker, "digits", stream).parts) == b"ab"
    teapot = Request(b'{"do": "fail", "status": 418, "message": "teapot"}')
    with pytest.raises(InvocationError, match=r"418.*teapot") as caught:
        runtime.invoke(invoker, "digits", teapot)
    assert caught.value.status == 418 and "serving" in caught.value.report()

    assert logs.tail_log(reader, log_group("digits"))
    assert sagemaker.find_endpoint(plan, "digits")
    assert versions.find_version(plan, second.resource)
    assert sagemaker.list_endpoints(breaker) and versions.list_versions(breaker)
    (endpoint,) = sagemaker.list_endpoints(lister)
    assert endpoint.version == second.version
    assert len(versions.list_versions(lister)) == 2
    assert versions.list_versions(lister, besides=["digits"]) == ()
    assert autoscaling.left_autoscaling(lister, "digits") == ()
    assert autoscaling.describe(lister, "digits") is None
    assert len(s3.list_artefacts(lister, ours)) == 2 and len(ecr.list_images(lister, ours)) == 1
    assert pricing.hourly(lister, spec.compute)
    now = time.time()
    asked = metrics.request_metrics(lister, "digits", start=now - 3600, end=now + 60, period=60)
    assert sum(asked["requests"].values()) == 3

    target = rollback.roll_back(roller, "digits")
    assert target.version == spec.version
    *_, last = rollout.watch(roller, "digits")
    rollout.settle(roller, last.endpoint, target.resource, 1)

    for _ in range(2):
        leases.remove_schedule(deleter, "digits")
        sagemaker.delete_endpoint(deleter, "digits")
        assert sagemaker.release_endpoint(deleter, "digits") == ()
        rollout.wait_until_gone(deleter, "digits")
        for version in versions.list_versions(deleter):
            versions.delete_version(deleter, version)
        assert sagemaker.list_endpoints(deleter) == ()
        for stored in ecr.list_images(deleter, ours):
            ecr.delete_images(deleter, ours, [stored.digest])
        for kept in s3.list_artefacts(deleter, ours):
            s3.delete_artefact(deleter, ours, kept.digest)

    assert sagemaker.list_endpoints(breaker) == versions.list_versions(breaker) == ()
    assert logs.our_log_groups(breaker) == (log_group("digits"),)
    session_of(stand).s3.put_object(Bucket=ours.bucket, Key="late", Body=b"x")
    for _ in range(2):
        for group in logs.our_log_groups(breaker):
            logs.delete_log_group(breaker, group)
        delete_bucket(breaker, ours)
        ecr.delete_repository(breaker, ours)
        lease_role.release_lease_role(breaker, ours)
        role_setup.release_role(breaker, ours)

    after = stand.inventory()
    assert {k: v for k, v in after.items() if k != "roles"} == {
        k: v for k, v in before.items() if k != "roles"
    }
    idle = {}
    for verb, user in users.items():
        allowed = {
            a
            for s in caller_policy(Scope(ours, secrets=SECRETS, leases=True), [verb])["Statement"]
            for a in s["Action"]
        }
        idle[verb] = allowed - user.used
    assert {verb: idle[verb] ^ SELDOM[verb] for verb in idle if idle[verb] != SELDOM[verb]} == {}


def test_a_missing_statement_is_printed_so_that_it_can_be_added(stand: Any, ours: Names) -> None:
    policy = caller_policy(Scope(ours), ["invoke"])
    for call, action in (
        (lambda s: role_setup.ensure_role(s, ours), "iam:GetRole"),
        (lambda s: ensure_bucket(s, ours), "s3:ListBucket"),
        (lambda s: ecr.ensure_repository(s, ours), "ecr:DescribeRepositories"),
        (lambda s: sagemaker.list_endpoints(s), "sagemaker:ListEndpoints"),
        (lambda s: autoscaling.describe(s, "x"), "DescribeScalableTargets"),
    ):
        with pytest.raises(AwsError) as caught:
            call(session_of(stand, policy))
        assert action in str(caught.value), caught.value


def test_throttling_resets_and_a_role_that_is_new_are_survived(
    stand: Any, ours: Names, clean: None, push: Push, model_image: str, tmp_path: Path
) -> None:
    admin = session_of(stand)
    stand.faults.set(throttle_percent=30, reset_percent=5, role_delay_s=5, config_delay_s=2)
    role_setup.ensure_role(admin, ours)
    ensure_bucket(admin, ours)
    ecr.ensure_repository(admin, ours)
    uri = upload.upload_archive(admin, ours, artefact(tmp_path / "model"), Quiet())
    stand.faults.set(throttle_percent=0, reset_percent=0)
    push(model_image, ours.repository, "digits-1")
    stand.faults.set(throttle_percent=30, reset_percent=5, cold_starts=2)
    image = ecr.find_image(admin, ours, tag="digits-1", architecture="amd64")
    assert image
    spec = EndpointSpec(
        "digits", image.pinned, ours.role_arn, Serverless(memory=2048, max_concurrency=5), uri
    )
    assert deploy(admin, spec) == "created"
    assert runtime.invoke(admin, "digits", Request(b"{}")).body


def test_failures_are_diagnosed_and_the_next_deploy_mends_them(
    stand: Any, ours: Names, clean: None, push: Push, model_image: str, tmp_path: Path
) -> None:
    admin = session_of(stand)
    role_setup.ensure_role(admin, ours)
    ensure_bucket(admin, ours)
    ecr.ensure_repository(admin, ours)
    push(model_image, ours.repository, "digits-1")
    image = ecr.find_image(admin, ours, tag="digits-1", architecture="amd64")
    assert image
    uri = upload.upload_archive(admin, ours, artefact(tmp_path / "model"), Quiet())
    spec = EndpointSpec(
        "digits", image.pinned, ours.role_arn, Server(instance_type="ml.m5.large"), uri
    )

    stand.faults.set(no_capacity="ml.m5.large")
    with pytest.raises(EndpointError, match=r"no free ml\.m5\.large in eu-west-1"):
        deploy(admin, spec)
    stand.faults.clear()
    assert deploy(admin, spec) == "replaced"

    stand.timing.startup_scale = 0.01
    silent = dataclasses.replace(spec, environment={"PING": "never"})
    with pytest.raises(EndpointError, match="serves its former version again") as caught:
        deploy(admin, silent)
    assert "startup_timeout_s" in str(caught.value)
    assert sagemaker.our_endpoint(admin, "digits").version == spec.version
    stand.timing.startup_scale = 1.0

    autoscaling.ensure_autoscaling(
        admin, "digits", Autoscaling(min=1, max=2, invocations_per_instance=5)
    )
    larger = dataclasses.replace(spec, compute=Server(instance_type="ml.m5.xlarge"))
    assert deploy(admin, larger) == "updated"
    with pytest.raises(EndpointError, match="cannot become serverless"):
        deploy(admin, dataclasses.replace(spec, compute=Serverless(memory=1024, max_concurrency=1)))
    lost = dataclasses.replace(larger, artefact_uri=uri.replace("model.tar", "none.tar"))
    with pytest.raises(AwsError, match=r"artefact is not where"):
        deploy(admin, lost)
