"""A name that a local endpoint and one on SageMaker have."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest

from sageturner_magic.aws.endpoints.spec import EndpointSpec
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.config import Server
from sageturner_magic.context import DEFAULT_AWS, AwsOptions
from sageturner_magic.deployment.plans.rollback import plan_rollback
from sageturner_magic.endpoints import elsewhere
from sageturner_magic.endpoints.endpoint import Endpoint, is_local, no_endpoint
from sageturner_magic.endpoints.local.state import LocalRecord, LocalState
from sageturner_magic.errors import AwsError, EndpointError, UsageError
from sageturner_magic.verbs.account.removing import plan_removal
from tests.unit.aws.fake import FakeSageMaker

ROLE = "arn:aws:iam::123456789012:role/sageturner-role-sagemaker"
SPEC = EndpointSpec("digits", "repo@sha256:" + "1" * 64, ROLE, Server(instance_type="ml.m5.large"))
BOTH = "a local endpoint, and also one on SageMaker"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeSageMaker:
    """SageMaker without endpoints, for every session that is opened."""
    monkeypatch.setenv("SAGETURNER_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    boto = boto3.Session("AKID", "SECRET", region_name="eu-west-1")
    session = AwsSession(None, "eu-west-1", "aws", boto)
    session.__dict__["identity"] = ("123456789012", "arn:aws:iam::123456789012:user/ann")
    monkeypatch.setattr(AwsOptions, "open", lambda self: session)
    return FakeSageMaker(session)


def deploy_to_sagemaker(aws: FakeSageMaker, *, by: str = "user/ann") -> None:
    aws.create_model(SPEC.resource, [], PrimaryContainer={"Image": SPEC.image})
    aws.create_endpoint_config(SPEC.resource, [], ProductionVariants=[{}])
    tags = [{"Key": "sageturner:created-by", "Value": by}] if by else []
    aws.create_endpoint("digits", SPEC.resource, tags)


def deploy_here() -> None:
    state = LocalState()
    state.prepare("digits")
    state.write(
        LocalRecord(
            "digits", "0123456789ab", 1, 0.0, 0, 0.0, 1, "", "", "", "", "", 0.0, 0.0, "", {}
        )
    )


def test_each_verb_asks_which_one_is_meant(aws: FakeSageMaker) -> None:
    deploy_here()
    deploy_to_sagemaker(aws)
    elsewhere.note_on_sagemaker("digits")
    for verb in (
        lambda: Endpoint("digits"),
        lambda: is_local("digits", DEFAULT_AWS),
        lambda: plan_removal("digits"),
        lambda: plan_rollback("digits", None, DEFAULT_AWS),
    ):
        with pytest.raises(UsageError, match=BOTH):
            verb()
    assert Endpoint("digits", endpoint_type="local").is_local
    assert not Endpoint("digits", endpoint_type="serverless").is_local
    assert not Endpoint("digits", region="eu-west-1").is_local


def test_delete_asks_aws_also_about_names_that_were_never_seen_there(aws: FakeSageMaker) -> None:
    deploy_here()
    deploy_to_sagemaker(aws)
    # A request does not: it would wait for AWS each time.
    assert Endpoint("digits").is_local and not aws.calls
    with pytest.raises(UsageError, match=BOTH):
        plan_removal("digits")


def test_the_local_one_is_meant_where_sagemaker_has_none_of_ours(aws: FakeSageMaker) -> None:
    deploy_here()
    elsewhere.note_on_sagemaker("digits")
    assert Endpoint("digits").is_local
    # It is gone, and AWS is not asked again.
    assert not elsewhere.was_on_sagemaker("digits")
    deploy_to_sagemaker(aws, by="")
    assert is_local("digits", DEFAULT_AWS)


def test_the_local_one_is_meant_where_aws_cannot_be_asked(
    aws: FakeSageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy_here()
    elsewhere.note_on_sagemaker("digits")

    def offline(self: AwsOptions) -> AwsSession:
        raise AwsError("No AWS credentials were found")

    monkeypatch.setattr(AwsOptions, "open", offline)
    assert Endpoint("digits").is_local


def test_a_name_that_nothing_has_is_an_error_or_nothing_on_demand(aws: FakeSageMaker) -> None:
    with pytest.raises(EndpointError, match=r"`digits` on this machine or on SageMaker in eu-west"):
        raise no_endpoint("digits", DEFAULT_AWS)
    only_here = AwsOptions(endpoint_type="local")
    with pytest.raises(EndpointError, match=r"There is no endpoint `digits` on this machine\."):
        plan_removal("digits", aws=only_here)
    planned = plan_removal("digits", if_exists=True, aws=only_here)
    assert not planned.lines and "no endpoint" in planned.done
