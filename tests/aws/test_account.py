"""An account: setup, teardown and policies, and the stand's IAM that decides about them.

No test here starts a container, so none needs a Docker engine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.stand import SAGEMAKER_FULL_ACCESS, Stand
from tests.stand.actions import Need
from tests.stand.project import Project
from tests.stand.sweep import nothing_left
from tests.stand.wire import AwsFault

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


ROLE = "sageturner-role-sagemaker"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/0123abcd-12ab-34cd-56ef-1234567890ab"
NETWORK = {"subnets": ["subnet-0a1b2c3d"], "security_groups": ["sg-0a1b2c3d"]}


@pytest.fixture
def project(stand: Stand, tmp_path: Path) -> Iterator[Project]:
    """A project of which nothing is set up, nor left."""
    with nothing_left(stand):
        made = Project(stand, tmp_path, "set-up")
        made.configure()
        yield made
        stand.faults.clear()
        made.configure()
        for region in ("us-east-1", stand.region):
            made.run("teardown", "--yes", "--region", region)


def role_arn(stand: Stand, name: str = ROLE) -> str:
    return str(stand.client("iam").get_role(RoleName=name)["Role"]["Arn"])


def role_may(stand: Stand, action: str, resource: str, name: str = ROLE) -> bool:
    """Whether SageMaker, with the role, may do that."""
    role = stand.iam.assume_for_sagemaker(role_arn(stand, name), stand.region)
    return stand.iam.allows(role, Need(action, resource))


def serves(
    stand: Stand, region: str, bucket: str = "", repository: str = "sageturner-sagemaker"
) -> bool:
    """Whether models of a region load with the role, in place of starting their containers."""
    bucket = bucket or f"sageturner-sagemaker-models-{stand.account}-{region}"
    images = f"arn:aws:ecr:{region}:{stand.account}:repository/{repository}"
    logs = f"arn:aws:logs:{region}:{stand.account}:log-group:/aws/sagemaker/Endpoints/x"
    return all(
        role_may(stand, action, resource)
        for action, resource in (
            ("ecr:BatchGetImage", images),
            ("ecr:GetDownloadUrlForLayer", images),
            ("s3:GetObject", f"arn:aws:s3:::{bucket}/artefacts/x"),
            ("logs:PutLogEvents", f"{logs}:log-stream:y"),
        )
    )


def inline(stand: Stand, name: str = ROLE) -> set[str]:
    return set(stand.client("iam").list_role_policies(RoleName=name)["PolicyNames"])


def test_a_second_region_and_a_second_project_take_nothing_away(project: Project) -> None:
    stand = project.stand
    project.run("setup")
    project.run("setup", "--region", "us-east-1")
    assert inline(stand) == {"sageturner-eu-west-1", "sageturner-us-east-1"}
    project.configure(overrides={"bucket_name": "team-sagemaker-models"})
    project.run("setup")
    assert serves(stand, "eu-west-1") and serves(stand, "us-east-1")
    assert serves(stand, "eu-west-1", "team-sagemaker-models")

    shown = project.refused("teardown")
    assert "team-sagemaker-models" in shown and "repository" not in shown
    project.run("teardown", "--yes")
    assert serves(stand, "eu-west-1") and serves(stand, "us-east-1")
    assert not role_may(stand, "s3:GetObject", "arn:aws:s3:::team-sagemaker-models/artefacts/x")
    project.configure()
    gone = project.run("teardown", "--yes", "--region", "us-east-1").out
    assert "kept role" in gone and "eu-west-1 needs" in gone
    assert serves(stand, "eu-west-1") and inline(stand) == {"sageturner-eu-west-1"}
    assert "deleted role" in project.run("teardown", "--yes").out


def test_the_original_commands_role_is_used_and_left(project: Project) -> None:
    stand = project.stand
    iam = stand.client("iam")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    trust = {"Version": "2012-10-17", "Statement": [statement]}
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust))
    iam.attach_role_policy(RoleName=ROLE, PolicyArn=SAGEMAKER_FULL_ACCESS)
    try:
        said = project.run("setup").out
        assert "created bucket" in said and "gave role" in said
        assert inline(stand) == {"sageturner-eu-west-1"} and serves(stand, "eu-west-1")
        assert "nothing was changed" in project.run("setup").out
        project.run("teardown", "--yes")
        assert inline(stand) == set()
        role = iam.get_role(RoleName=ROLE)["Role"]
        assert role["AssumeRolePolicyDocument"] == trust and "Tags" not in role
    finally:
        iam.detach_role_policy(RoleName=ROLE, PolicyArn=SAGEMAKER_FULL_ACCESS)
        iam.delete_role(RoleName=ROLE)


def test_a_role_that_you_may_not_change_is_left_with_what_it_needs(project: Project) -> None:
    stand = project.stand
    arn = stand.create_role("locked", "locked-models", "locked-images")
    project.configure(overrides={"role_name": "locked"})
    actions = {"Effect": "Allow", "Action": ["s3:*", "ecr:*", "iam:Get*"], "Resource": "*"}
    keys = stand.create_user("locked-out", {"Version": "2012-10-17", "Statement": [actions]})
    said = Project(stand, project.folder, project.name, keys).run("setup").out
    assert "left role locked as it is" in said and "--show-policy" in said
    assert inline(stand, "locked") == {"models"}
    assert "gave role locked" in project.run("setup").out
    assert inline(stand, "locked") == {"models", "sageturner-eu-west-1"}
    documents = json.loads(project.run("setup", "--show-policy").out)
    (passing,) = [s for s in documents["deploy"]["Statement"] if "iam:PassRole" in s["Action"]]
    assert passing["Resource"] == arn
    project.run("teardown", "--yes")
    assert inline(stand, "locked") == {"models"}
    stand.client("iam").delete_role_policy(RoleName="locked", PolicyName="models")
    stand.client("iam").delete_role(RoleName="locked")


def test_sagemaker_assumes_the_role_whether_or_not_it_sends_its_account(project: Project) -> None:
    stand = project.stand
    project.run("setup")
    arn = role_arn(stand)
    for sent in (1, 0):
        stand.faults.set(source_account=sent)
        stand.iam.assume_for_sagemaker(arn, "eu-west-1")
        stand.iam.assume_for_sagemaker(arn, "us-east-1")
    # As setup wrote it before; it is repaired.
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": stand.account}},
    }
    trust = {"Version": "2012-10-17", "Statement": [statement]}
    stand.client("iam").update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(trust))
    with pytest.raises(AwsFault, match="Could not assume role"):
        stand.iam.assume_for_sagemaker(arn, "eu-west-1")
    assert "repaired the trust policy" in project.run("setup").out
    stand.iam.assume_for_sagemaker(arn, "eu-west-1")


def test_a_bucket_that_is_still_being_deleted_is_waited_for(project: Project) -> None:
    project.run("setup")
    project.run("teardown", "--yes")
    project.stand.faults.set(bucket_delay_s=2.5)
    assert "created bucket" in project.run("setup").out


def test_what_setup_created_is_found_although_it_is_seen_late(project: Project) -> None:
    faults = project.stand.faults
    project.write_code()
    faults.set(late_roles=3)
    project.run("setup")
    assert faults.late_roles == 0 and inline(project.stand) == {"sageturner-eu-west-1"}
    role = role_arn(project.stand)
    # The role alone; then the role and its list of policies.
    for late in (1, 2):
        faults.set(late_roles=late)
        assert role in project.run("plan", "-e", "serverless").out
        assert faults.late_roles == 0
    # `nothing_left` looks whether this removes all.
    faults.set(late_roles=1, late_settings=2)
    project.run("teardown", "--yes")
    assert faults.late_roles == faults.late_settings == 0


def test_a_role_that_is_missing_is_told_with_how_late_iam_may_be(project: Project) -> None:
    project.write_code()
    said = project.refused("plan", "-e", "serverless")
    assert "The execution role does not exist" in said and "IAM shows new roles late" in said


def test_a_path_and_a_boundary_limit_the_role(project: Project) -> None:
    stand = project.stand
    iam = stand.client("iam")
    limit = {"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"}
    boundary = iam.create_policy(
        PolicyName="boundary",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [limit]}),
    )["Policy"]["Arn"]
    project.configure(overrides={"role_path": "/team/", "permissions_boundary": boundary})
    project.run("setup")
    assert role_arn(stand) == f"arn:aws:iam::{stand.account}:role/team/{ROLE}"
    assert role_may(stand, "s3:GetObject", f"arn:aws:s3:::{bucket(stand)}/artefacts/x")
    assert not role_may(stand, "ecr:GetAuthorizationToken", "*")
    documents = json.loads(project.run("setup", "--show-policy").out)
    assert f"role/team/{ROLE}" in json.dumps(documents["deploy"])
    iam.delete_role_policy(RoleName=ROLE, PolicyName="sageturner-eu-west-1")
    iam.delete_role(RoleName=ROLE)
    iam.delete_policy(PolicyArn=boundary)


def bucket(stand: Stand) -> str:
    return f"sageturner-sagemaker-models-{stand.account}-{stand.region}"


def test_the_printed_policies_fit_and_name_what_the_configuration_needs(project: Project) -> None:
    stand = project.stand

    def shown(**configuration: Any) -> dict[str, Any]:
        project.configure(**configuration)
        return dict(json.loads(project.run("setup", "--show-policy").out))

    plain = shown()
    assert list(plain) == ["setup", "deploy", "role"]
    assert "kms:" not in json.dumps(plain) and "ec2:" not in json.dumps(plain)
    role = f"arn:aws:iam::{stand.account}:role/service-role/Mine"
    special = shown(kms_key=KEY, network=NETWORK, overrides={"role_arn": role})
    for name, policy in special.items():
        # IAM refuses what is too large.
        stand.create_user(f"printed-{name}", policy)
    (passing,) = [s for s in special["deploy"]["Statement"] if "iam:PassRole" in s["Action"]]
    assert passing["Resource"] == role
    (keys,) = [s for s in special["deploy"]["Statement"] if "kms:CreateGrant" in s["Action"]]
    assert keys["Resource"] == KEY and "kms:DescribeKey" in keys["Action"]
    assert "ec2:CreateNetworkInterfacePermission" in json.dumps(special["role"])
    only = json.loads(project.run("setup", "--show-policy", "--for", "deploy").out)
    assert only["Version"] == "2012-10-17" and "iam:CreateRole" not in json.dumps(only)


def test_a_bucket_with_a_key_of_your_own_is_read_and_written(project: Project) -> None:
    stand = project.stand
    s3 = stand.client("s3")
    s3.create_bucket(
        Bucket="kms-sagemaker", CreateBucketConfiguration={"LocationConstraint": stand.region}
    )
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    s3.put_bucket_encryption(
        Bucket="kms-sagemaker",
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": default}]
        },
    )
    project.configure(overrides={"bucket_name": "kms-sagemaker"})
    project.run("setup")
    try:
        assert role_may(stand, "kms:Decrypt", KEY) and not role_may(stand, "kms:Encrypt", KEY)
        documents = json.loads(project.run("setup", "--show-policy").out)
        deployer = stand.client("s3", stand.create_user("kms-deployer", documents["deploy"]))
        deployer.put_object(Bucket="kms-sagemaker", Key="artefacts/x", Body=b"x")
        everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [everything]}
        without = stand.client("s3", stand.create_user("kms-without", policy))
        with pytest.raises(ClientError, match="kms:GenerateDataKey"):
            without.put_object(Bucket="kms-sagemaker", Key="artefacts/y", Body=b"y")
        with pytest.raises(ClientError, match="kms:Decrypt"):
            without.get_object(Bucket="kms-sagemaker", Key="artefacts/x")
    finally:
        project.run("teardown", "--yes")
        s3.delete_object(Bucket="kms-sagemaker", Key="artefacts/x")
        s3.delete_bucket(Bucket="kms-sagemaker")
