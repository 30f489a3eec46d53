"""The decisions of IAM that everything else on the stand rests on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stand.policies import Decision, decide, names_principal, statements

BUCKET = "arn:aws:s3:::bucket"


def statement(effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": "s3:GetObject", "Resource": f"{BUCKET}/*", **more}


@pytest.mark.parametrize(
    ("about", "decision"),
    [
        ({}, "allow"),
        ({"Action": ["s3:PutObject", "s3:getobject"]}, "allow"),
        ({"Action": "s3:Get*"}, "allow"),
        ({"Action": "s3:Put*"}, "none"),
        ({"Resource": BUCKET}, "none"),
        ({"Resource": [f"{BUCKET}/other", f"{BUCKET}/ke?"]}, "allow"),
        ({"Resource": f"{BUCKET}/[k]ey"}, "none"),
        ({"Effect": "Deny"}, "deny"),
    ],
)
def test_actions_ignore_case_and_resources_do_not(
    about: dict[str, Any], decision: Decision
) -> None:
    assert decide([statement(**about)], "s3:GetObject", f"{BUCKET}/key", {}) == decision


def test_what_is_excepted_is_not_covered() -> None:
    all_but = {"Effect": "Allow", "NotAction": "iam:*", "NotResource": f"{BUCKET}/secret"}
    assert decide([all_but], "s3:GetObject", f"{BUCKET}/key", {}) == "allow"
    assert decide([all_but], "iam:GetRole", f"{BUCKET}/key", {}) == "none"
    assert decide([all_but], "s3:GetObject", f"{BUCKET}/secret", {}) == "none"


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"aws:SourceAccount": "1"}}, {"aws:SourceAccount": "1"}, True),
        ({"StringEquals": {"AWS:sourceaccount": "1"}}, {"aws:SourceAccount": "1"}, True),
        ({"StringEquals": {"aws:SourceAccount": ["2", "1"]}}, {"aws:SourceAccount": "1"}, True),
        ({"StringEquals": {"aws:SourceAccount": "1"}}, {}, False),
        ({"StringEqualsIfExists": {"aws:SourceAccount": "1"}}, {}, True),
        ({"StringNotEquals": {"aws:SourceAccount": "1"}}, {"aws:SourceAccount": "1"}, False),
        ({"StringNotEquals": {"aws:SourceAccount": ["1", "2"]}}, {"aws:SourceAccount": "3"}, True),
        ({"StringNotEquals": {"aws:SourceAccount": "1"}}, {}, True),
        ({"StringLike": {"s3:prefix": "models/*"}}, {"s3:prefix": "models/a"}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": "true"}, False),
        ({"Bool": {"aws:SecureTransport": True}}, {"aws:SecureTransport": "true"}, True),
        ({"Null": {"aws:RequestTag/team": "true"}}, {}, True),
        ({"Null": {"aws:RequestTag/team": "false"}}, {}, False),
        ({"NumericLessThan": {"s3:max-keys": "10"}}, {"s3:max-keys": "9"}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:SourceIp": "127.0.0.1"}, False),
        ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:SourceIp": "127.0.0.1"}, True),
        (
            {"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}},
            {"aws:TagKeys": ["a"]},
            True,
        ),
        (
            {"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}},
            {"aws:TagKeys": ["a", "c"]},
            False,
        ),
        (
            {"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}},
            {"aws:TagKeys": ["a", "c"]},
            True,
        ),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, {}, False),
    ],
)
def test_conditions(
    condition: dict[str, Any], context: dict[str, str | list[str]], holds: bool
) -> None:
    policy = [statement(Condition=condition)]
    assert (decide(policy, "s3:GetObject", f"{BUCKET}/key", context) == "allow") is holds


@given(st.permutations(["Allow", "Allow", "Deny"]))
def test_a_deny_wins_wherever_it_stands(effects: list[str]) -> None:
    policy = [statement(effect) for effect in effects]
    assert decide(policy, "s3:GetObject", f"{BUCKET}/key", {}) == "deny"


@given(st.text(st.characters(codec="ascii", exclude_characters="*?"), min_size=1))
def test_a_resource_without_wildcards_covers_itself_only(name: str) -> None:
    policy = [statement(Resource=f"{BUCKET}/{name}")]
    assert decide(policy, "s3:GetObject", f"{BUCKET}/{name}", {}) == "allow"
    assert decide(policy, "s3:GetObject", f"{BUCKET}/{name}x", {}) == "none"


def test_a_document_may_hold_one_statement_or_several_as_text_or_decoded() -> None:
    assert statements('{"Statement": {"Effect": "Allow"}}') == [{"Effect": "Allow"}]
    assert statements({"Statement": [{"Effect": "Deny"}]}) == [{"Effect": "Deny"}]


def test_who_a_statement_is_about() -> None:
    assert names_principal({"Principal": "*"}, "anybody")
    assert names_principal({"Principal": {"AWS": ["arn:a", "arn:b"]}}, "arn:b")
    assert not names_principal({"Principal": {"Service": "sagemaker.amazonaws.com"}}, "arn:b")
