"""Endpoints on moto, which knows them as far as their making, tags, listing and deleting."""

from __future__ import annotations

import time

from sageturner_magic.aws.account import role_setup
from sageturner_magic.aws.endpoints import autoscaling, logs, rollout, versions
from sageturner_magic.aws.endpoints import endpoint as sagemaker
from sageturner_magic.aws.endpoints.spec import EndpointSpec
from sageturner_magic.aws.names import Names, log_group
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.config import Autoscaling, Server, Serverless


def test_an_endpoint_lives_from_apply_to_delete(session: AwsSession, ours: Names) -> None:
    role, _ = role_setup.ensure_role(session, ours)
    spec = EndpointSpec(
        "digits",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sageturner-sagemaker@sha256:" + "a" * 64,
        role.arn,
        Server(instance_type="ml.m5.xlarge", volume_gb=20, startup_timeout_s=600),
        f"s3://{ours.bucket}/artefacts/{'b' * 64}/model.tar.gz",
        environment={"A": "1"},
        tags={"team": "search"},
    )
    assert rollout.apply_spec(session, spec) == "created"
    *_, last = rollout.watch(session, spec.name)
    assert last.endpoint.status == "InService"
    rollout.settle(session, last.endpoint, spec.resource, 3.4)
    assert rollout.apply_spec(session, spec) == "unchanged"

    (endpoint,) = sagemaker.list_endpoints(session)
    assert endpoint == sagemaker.find_endpoint(session, "digits")
    assert endpoint.version == spec.version and endpoint.instances == (1, 1)
    assert endpoint.tags["team"] == "search" and endpoint.tags["sageturner:seconds"] == "3"
    (version,) = versions.list_versions(session, "digits")
    assert (version.image, version.artefact_uri) == (spec.image, spec.artefact_uri)
    assert version.role_arn == role.arn and version.servable

    wanted = Autoscaling(min=1, max=3, invocations_per_instance=100)
    assert autoscaling.ensure_autoscaling(session, "digits", wanted)
    assert autoscaling.describe(session, "digits") == wanted

    session.logs.create_log_group(logGroupName=log_group("digits"))
    session.logs.create_log_group(logGroupName=log_group("of-somebody-else"))
    session.logs.create_log_stream(logGroupName=log_group("digits"), logStreamName="AllTraffic/i-1")
    session.logs.put_log_events(
        logGroupName=log_group("digits"),
        logStreamName="AllTraffic/i-1",
        logEvents=[{"timestamp": int(time.time() * 1000), "message": "ready\n"}],
    )
    assert [line.text for line in logs.tail_log(session, log_group("digits"))] == ["ready"]

    for _ in range(2):
        sagemaker.delete_endpoint(session, "digits")
        assert sagemaker.release_endpoint(session, "digits") == ()
        rollout.wait_until_gone(session, "digits")
        versions.delete_version(session, version)
    assert sagemaker.list_endpoints(session) == versions.list_versions(session) == ()
    assert autoscaling.describe(session, "digits") is None
    assert logs.our_log_groups(session) == (log_group("digits"),)
    assert logs.delete_log_group(session, log_group("digits"))
    assert not logs.delete_log_group(session, log_group("digits"))
    assert logs.our_log_groups(session) == ()


def test_serverless_settings_come_back_as_they_were_given(session: AwsSession, ours: Names) -> None:
    compute = Serverless(memory=2048, max_concurrency=5, provisioned_concurrency=1)
    spec = EndpointSpec("small", "repo@sha256:" + "a" * 64, ours.role_arn, compute)
    rollout.apply_spec(session, spec)
    (version,) = versions.list_versions(session)
    assert version.compute == compute and version.artefact_uri == ""
