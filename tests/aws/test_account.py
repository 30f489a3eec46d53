"""The stand's IAM: users, AWS's own policies and the sizes that policies may have.

No test here starts a container, so none needs a Docker engine.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.stand import SAGEMAKER_FULL_ACCESS, Stand

pytestmark = pytest.mark.registry


def document(size: int) -> str:
    """A policy of `size` characters that count, and of white space that does not."""
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    counted = len(json.dumps(policy, separators=(",", ":")))
    statement["Resource"] += "x" * (size - counted)
    return json.dumps(policy, indent=8)


def test_a_user_with_full_access_has_what_awss_policy_says(stand: Stand) -> None:
    keys = stand.create_user("full-access", SAGEMAKER_FULL_ACCESS)
    assert stand.client("sagemaker", keys).list_endpoints()["Endpoints"] == []
    stand.client("ecr", keys).get_authorization_token()
    # What AmazonSageMakerFullAccess does not allow, see the stand's table of courtesies.
    denied: list[Callable[[], Any]] = [
        lambda: stand.client("iam", keys).get_role(RoleName="any"),
        lambda: stand.client("iam", keys).create_role(
            RoleName="any", AssumeRolePolicyDocument="{}"
        ),
        lambda: stand.client("ecr", keys).get_lifecycle_policy(repositoryName="my-sagemaker"),
        lambda: stand.client("logs", keys).tag_resource(
            resourceArn=f"arn:aws:logs:eu-west-1:{stand.account}:log-group:x", tags={"a": "b"}
        ),
        lambda: stand.client("s3", keys).list_multipart_uploads(Bucket="my-sagemaker"),
    ]
    for call in denied:
        with pytest.raises(ClientError, match="AccessDenied"):
            call()


def test_policies_above_iams_sizes_are_refused(stand: Stand) -> None:
    iam = stand.client("iam")
    iam.create_user(UserName="sized")
    iam.create_group(GroupName="sized")
    trust = {"Version": "2012-10-17", "Statement": []}
    iam.create_role(RoleName="sized", AssumeRolePolicyDocument=json.dumps(trust))

    def put(holder: str, name: str, size: int) -> None:
        call = getattr(iam, f"put_{holder.lower()}_policy")
        call(**{f"{holder}Name": "sized"}, PolicyName=name, PolicyDocument=document(size))

    def create(size: int) -> str:
        made = iam.create_policy(PolicyName=f"sized-{size}", PolicyDocument=document(size))
        return str(made["Policy"]["Arn"])

    try:
        for holder, limit in (("User", 2048), ("Group", 5120), ("Role", 10_240)):
            put(holder, "one", limit - 500)
            put(holder, "two", 500)
            put(holder, "one", limit - 500)
            with pytest.raises(ClientError, match=rf"LimitExceeded.*{limit} bytes"):
                put(holder, "two", 501)
        arn = create(6144)
        with pytest.raises(ClientError, match=r"LimitExceeded.*PolicySize: 6144"):
            create(6145)
        with pytest.raises(ClientError, match=r"LimitExceeded.*PolicySize: 6144"):
            iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(6145))
        iam.delete_policy(PolicyArn=arn)
    finally:
        for name in ("one", "two"):
            iam.delete_role_policy(RoleName="sized", PolicyName=name)
        iam.delete_role(RoleName="sized")
