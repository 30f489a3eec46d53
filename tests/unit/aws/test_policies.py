"""The minimal policies are those of the calls that the code makes, no fewer and no more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from sageturner_magic import aws
from sageturner_magic.aws.account.policies import GRANTS, PERMISSION_SETS, caller_policy
from sageturner_magic.aws.names import Names
from sageturner_magic.aws.permissions import actions

ROOM = Path(aws.__file__ or "").parent

# Property of AwsSession -> botocore's service.
SERVICES = {
    "sts": "sts",
    "iam": "iam",
    "s3": "s3",
    "ecr": "ecr",
    "sagemaker": "sagemaker",
    "logs": "logs",
    "autoscaling": "application-autoscaling",
    "quotas": "service-quotas",
    "pricing": "pricing",
    "cloudwatch": "cloudwatch",
    "runtime": "sagemaker-runtime",
}

# What AWS checks although no module here makes the call.
INDIRECT = {
    "iam:PassRole",  # CreateModel
    "iam:TagRole",  # CreateRole with tags
    "ecr:TagResource",  # CreateRepository with tags
    "iam:CreateServiceLinkedRole",  # RegisterScalableTarget, the first time
    "cloudwatch:DescribeAlarms",
    "cloudwatch:PutMetricAlarm",
    "cloudwatch:DeleteAlarms",
    "sagemaker:UpdateEndpointWeightsAndCapacities",
    # The registry's protocol, which the image room speaks.
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
}


def operations(service: str) -> dict[str, str]:
    """Method of a client -> operation."""
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name): name for name in model.operation_names}


def calls() -> Iterator[tuple[str, ast.FunctionDef, str, str]]:
    """(module, function, service, operation) for each call of AWS in the room."""
    methods = {service: operations(service) for service in set(SERVICES.values())}
    anywhere = {m: (s, o) for s, known in methods.items() for m, o in known.items()}
    for path in sorted(ROOM.rglob("*.py")):
        module = path.relative_to(ROOM).with_suffix("").as_posix()
        tree = ast.parse(path.read_text())
        for function in [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]:
            for node in ast.walk(function):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                method, owner = node.func.attr, ast.unparse(node.func.value).split(".")[-1]
                if method == "get_paginator":
                    method = ast.literal_eval(node.args[0])
                service = SERVICES.get(owner)
                if service and method in methods[service]:
                    yield module, function, service, methods[service][method]
                elif method in anywhere and owner in ("client", "s3"):
                    yield module, function, *anywhere[method]
            for node in ast.walk(function):
                # `call = session.runtime.invoke_endpoint`
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute):
                    owner = ast.unparse(node.value.value).split(".")[-1]
                    service = SERVICES.get(owner, "")
                    if node.value.attr in methods.get(service, {}):
                        yield module, function, service, methods[service][node.value.attr]


CALLS = sorted({(module, f.name, s, o) for module, f, s, o in calls()})


def test_the_calls_of_the_code_are_found() -> None:
    assert len(CALLS) > 60
    assert {service for _, _, service, _ in CALLS} == set(SERVICES.values())


def test_the_policy_allows_exactly_what_the_code_calls(ours: Names) -> None:
    needed = {a for _, _, service, operation in CALLS for a in actions(service, operation)}
    allowed = {a for s in caller_policy(ours)["Statement"] for a in s["Action"]}
    assert allowed - needed == INDIRECT
    # For those who do not have iam:GetRole, which the policy has.
    assert needed - allowed == {"iam:ListRoles"}


@pytest.mark.parametrize(("module", "function", "service", "operation"), CALLS)
def test_public_functions_name_the_permissions_they_need(
    module: str, function: str, service: str, operation: str
) -> None:
    text = (ROOM / f"{module}.py").read_text()
    for action in actions(service, operation):
        assert action in text.replace("\n    ", " "), f"{module}.{function} calls {operation}"


@pytest.mark.parametrize("verb", PERMISSION_SETS)
def test_each_verb_has_a_policy_of_its_own(ours: Names, verb: str) -> None:
    policy = caller_policy(ours, [verb])  # type: ignore[list-item]
    assert policy["Version"] == "2012-10-17"
    assert policy["Statement"]
    sids = [s["Sid"] for s in policy["Statement"]]
    assert len(set(sids)) == len(sids)
    assert all(re.fullmatch(r"[A-Za-z0-9]+", sid) for sid in sids)
    assert all(s["Effect"] == "Allow" and s["Resource"] for s in policy["Statement"])


def test_invoke_allows_no_more_than_asking_and_reading_the_log(ours: Names) -> None:
    policy = caller_policy(ours, ["invoke"], endpoint="digits")
    assert policy["Statement"] == [
        {
            "Sid": "Invoke",
            "Effect": "Allow",
            "Action": ["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"],
            "Resource": "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/digits",
        },
        {
            "Sid": "ReadLogs",
            "Effect": "Allow",
            "Action": ["logs:DescribeLogStreams", "logs:GetLogEvents"],
            "Resource": [
                "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/sagemaker/Endpoints/digits",
                "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/sagemaker/Endpoints/digits:*",
            ],
        },
    ]


def test_the_role_may_be_passed_to_sagemaker_alone(ours: Names) -> None:
    arn = "arn:aws:iam::123456789012:role/team/mine"
    policy = caller_policy(ours, ["deploy"], role_arn=arn)
    (passing,) = (s for s in policy["Statement"] if s["Action"] == ["iam:PassRole"])
    assert passing["Resource"] == arn
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}
    }


def test_what_can_be_limited_to_a_resource_is(ours: Names) -> None:
    everywhere = {a for g in GRANTS for a in g.actions if g.resources.__name__ == "_any"}
    prefixes = {action.split(":")[0] for action in everywhere}
    assert prefixes <= {
        "ecr",
        "sagemaker",
        "logs",
        "application-autoscaling",
        "cloudwatch",
        "pricing",
        "servicequotas",
    }
    assert {a for a in everywhere if a.startswith(("ecr:", "sagemaker:", "logs:"))} == {
        "ecr:GetAuthorizationToken",
        "logs:DescribeLogGroups",
        "sagemaker:ListEndpointConfigs",
        "sagemaker:ListEndpoints",
        "sagemaker:ListModels",
        "sagemaker:UpdateEndpointWeightsAndCapacities",
    }
