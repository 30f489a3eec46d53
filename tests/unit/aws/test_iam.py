"""Which role SageMaker may use, and what policies allow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from sageturner_magic.aws.account import evaluation, role_documents, roles
from sageturner_magic.aws.names import Names
from sageturner_magic.aws.session import AwsSession

ACCOUNT = "123456789012"
OURS = Names(ACCOUNT, "eu-west-1", "aws", "bucket", "sageturner-role-sagemaker", "sageturner")


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def test_the_execution_policy_is_least_privilege(ours: Names) -> None:
    statements = role_documents.execution_policy(ours)["Statement"]
    actions = {action for s in statements for action in s["Action"]}
    assert not any("*" in action for action in actions)
    assert actions == {
        "s3:GetObject",
        "s3:ListBucket",
        "ecr:GetAuthorizationToken",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
        "ecr:BatchCheckLayerAvailability",
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "logs:DescribeLogStreams",
        "cloudwatch:PutMetricData",
    }
    unlimited = {s["Sid"] for s in statements if s["Resource"] == "*" and "Condition" not in s}
    assert unlimited == {"SignInToRegistry"}


def test_arns_follow_the_partition() -> None:
    china = Names(ACCOUNT, "cn-north-1", "aws-cn", "b", "r", "repo")
    text = json.dumps(role_documents.execution_policy(china))
    assert "arn:aws-cn:s3:::b/*" in text
    assert "arn:aws:" not in text


class TestTrust:
    def test_ours_is_fine(self) -> None:
        assert evaluation.trust_problem(role_documents.trust_policy(OURS), OURS) == ""

    def test_without_a_condition_it_is_fine_too(self) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": ["ec2.amazonaws.com", evaluation.SERVICE]},
            "Action": ["sts:AssumeRole"],
        }
        assert evaluation.trust_problem(document(statement), OURS) == ""

    @pytest.mark.parametrize(
        "condition",
        [
            {"StringEquals": {"aws:SourceAccount": ["1", ACCOUNT]}},
            {"ArnLike": {"AWS:SourceArn": f"arn:aws:sagemaker:eu-*:{ACCOUNT}:endpoint/*"}},
            {"StringLikeIfExists": {"aws:SourceArn": "arn:aws:sagemaker:*:*:*"}},
            {"Bool": {"aws:SecureTransport": "true"}},
        ],
    )
    def test_a_condition_that_sagemaker_meets_is_fine(self, condition: dict[str, Any]) -> None:
        statement = {**role_documents.trust_policy(OURS)["Statement"][0], "Condition": condition}
        assert evaluation.trust_problem(document(statement), OURS) == ""

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"Principal": {"Service": "ec2.amazonaws.com"}}, "does not name"),
            ({"Action": "sts:TagSession"}, "does not name"),
            ({"Effect": "Deny"}, "denies"),
            (
                {"Condition": {"StringEquals": {"AWS:SourceAccount": "999999999999"}}},
                "another aws:SourceAccount",
            ),
            (
                {"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:sagemaker:us-*:*:*"}}},
                "another aws:SourceArn",
            ),
        ],
    )
    def test_what_keeps_sagemaker_out_is_named(self, change: dict[str, Any], problem: str) -> None:
        statement = {**role_documents.trust_policy(OURS)["Statement"][0], **change}
        assert problem in evaluation.trust_problem(document(statement), OURS)


class TestAllows:
    GET, KEY = "s3:GetObject", "arn:aws:s3:::models/a/b.bin"

    @pytest.mark.parametrize(
        ("statement", "verdict"),
        [
            ({"Effect": "Allow", "Action": "s3:GetObject", "Resource": KEY}, "yes"),
            ({"Effect": "Allow", "Action": "S3:getobject", "Resource": "*"}, "yes"),
            ({"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::models/*"}, "yes"),
            ({"Effect": "Allow", "Action": ["s3:*"], "Resource": ["x", "arn:aws:s3:::m*"]}, "yes"),
            ({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::models/?/b.bin"}, "yes"),
            ({"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::x"}, "yes"),
            ({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}, "no"),
            (
                {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::models"},
                "no",
            ),
            ({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}, "no"),
            (
                {
                    "Effect": "Allow",
                    "Action": "s3:GetObject",
                    "Resource": "*",
                    "Condition": {"StringEquals": {"s3:ExistingObjectTag/SageMaker": "true"}},
                },
                "maybe",
            ),
        ],
    )
    def test_one_statement(self, statement: dict[str, Any], verdict: str) -> None:
        assert evaluation.allows([document(statement)], self.GET, self.KEY) == verdict

    def test_a_deny_beats_every_allow(self) -> None:
        allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        deny = {"Effect": "Deny", "Action": "s3:Get*", "Resource": "arn:aws:s3:::models/*"}
        assert evaluation.allows([document(allow), document(deny)], self.GET, self.KEY) == "no"
        assert evaluation.allows([document(deny, allow)], self.GET, self.KEY) == "no"

    def test_a_deny_with_a_condition_leaves_it_open(self) -> None:
        allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        deny = {**allow, "Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
        assert evaluation.allows([document(allow, deny)], self.GET, self.KEY) == "maybe"
        assert evaluation.allows([document(deny, allow)], self.GET, self.KEY) == "maybe"

    def test_nothing_allows_nothing(self) -> None:
        assert evaluation.allows([], self.GET, self.KEY) == "no"


class TestStudio:
    def test_the_metadata_file_names_the_role(self, session: AwsSession, tmp_path: Path) -> None:
        metadata = tmp_path / "resource-metadata.json"
        metadata.write_text(json.dumps({"ExecutionRoleArn": "arn:aws:iam::1:role/x"}))
        assert roles.studio_role(session, metadata) == "arn:aws:iam::1:role/x"

    def test_the_caller_of_a_notebook_names_it_otherwise(
        self, session: AwsSession, stub: Callable[[object], Stubber], tmp_path: Path
    ) -> None:
        session.__dict__["identity"] = (
            ACCOUNT,
            f"arn:aws:sts::{ACCOUNT}:assumed-role/AmazonSageMaker-ExecutionRole-1/SageMaker",
        )
        stub(session.iam).add_client_error("get_role", "AccessDenied", "no")
        assert roles.studio_role(session, tmp_path / "none") == (
            f"arn:aws:iam::{ACCOUNT}:role/service-role/AmazonSageMaker-ExecutionRole-1"
        )

    def test_elsewhere_there_is_none(self, session: AwsSession, tmp_path: Path) -> None:
        assert roles.studio_role(session, tmp_path / "none") is None


def test_a_role_arn_that_may_not_be_looked_up_is_used_with_a_note(
    session: AwsSession, ours: Names, stub: Callable[[object], Stubber]
) -> None:
    stub(session.iam).add_client_error("get_role", "AccessDenied", "no")
    arn = f"arn:aws:iam::{ACCOUNT}:role/service-role/r"
    role = roles.resolve_role(session, ours, role_arn=arn)
    assert role and role.arn == arn and not role.verified
    (finding,) = roles.role_findings(role, ours)
    assert finding.severity == "note"


def test_access_that_cannot_be_checked_is_a_note_and_not_an_error(
    session: AwsSession, stub: Callable[[object], Stubber]
) -> None:
    stub(session.iam).add_client_error("list_role_policies", "AccessDenied", "no")
    role = roles.ExecutionRole("r", f"arn:aws:iam::{ACCOUNT}:role/r")
    (finding,) = roles.access_findings(session, role, [("s3:GetObject", "*")], "artefact")
    assert finding.severity == "note"
