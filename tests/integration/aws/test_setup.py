"""What setup makes, mends and leaves alone."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from sageturner_magic.aws import ecr
from sageturner_magic.aws.account import role_documents, role_setup, roles
from sageturner_magic.aws.account.role_documents import Extras
from sageturner_magic.aws.names import TAG_CREATED_BY, Names, names_in
from sageturner_magic.aws.session import AwsSession, open_session
from sageturner_magic.aws.storage.bucket import (
    RULE_ID,
    TLS_SID,
    bucket_findings,
    bucket_key,
    bucket_region,
    delete_bucket,
    ensure_bucket,
    tls_statement,
)
from sageturner_magic.config import Config, Network
from sageturner_magic.errors import AwsError

POLICY = "sageturner-eu-west-1"
THEIRS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}],
}


def role_of(
    session: AwsSession,
    names: Names,
    trust: dict[str, Any] | None = None,
    inline: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """The role's inline policies; with `trust` the role is created, with those of `inline`."""
    iam = session.iam
    if trust:
        iam.create_role(RoleName=names.role, AssumeRolePolicyDocument=json.dumps(trust))
    for name, document in (inline or {}).items():
        iam.put_role_policy(
            RoleName=names.role, PolicyName=name, PolicyDocument=json.dumps(document)
        )
    return {
        name: iam.get_role_policy(RoleName=names.role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=names.role)["PolicyNames"]
    }


class TestRole:
    def test_is_made_with_least_privilege_for_this_account_only(
        self, session: AwsSession, ours: Names
    ) -> None:
        role, notes = role_setup.ensure_role(session, ours)
        assert role.ours and role.arn == ours.role_arn
        assert len(notes) == 2
        statement = role.trust["Statement"][0]
        source = f"arn:aws:sagemaker:*:{ours.account}:*"
        assert statement["Condition"] == {"ArnLike": {"aws:SourceArn": source}}
        assert roles.role_policies(session, role.name) == (role_documents.execution_policy(ours),)
        assert not session.iam.list_attached_role_policies(RoleName=role.name)["AttachedPolicies"]

    def test_run_again_changes_nothing(self, session: AwsSession, ours: Names) -> None:
        role_setup.ensure_role(session, ours)
        assert role_setup.ensure_role(session, ours)[1] == ()

    def test_drift_of_ours_is_mended_and_told(self, session: AwsSession, ours: Names) -> None:
        role_setup.ensure_role(session, ours)
        loose = {**role_documents.trust_policy(ours)}
        loose["Statement"] = [{k: v for k, v in loose["Statement"][0].items() if k != "Condition"}]
        session.iam.update_assume_role_policy(RoleName=ours.role, PolicyDocument=json.dumps(loose))
        session.iam.delete_role_policy(RoleName=ours.role, PolicyName=POLICY)
        _, notes = role_setup.ensure_role(session, ours)
        assert [note.split(" of ")[0] for note in notes] == [
            "repaired the trust policy",
            f"gave role {ours.role} the policy {POLICY}",
        ]
        role = roles.resolve_role(session, ours)
        assert role and role.trust == role_documents.trust_policy(ours)

    def test_to_a_role_that_is_not_ours_only_the_regions_policy_is_added(
        self, session: AwsSession, ours: Names
    ) -> None:
        # As the original command leaves it: untagged, under the name that setup uses.
        trust = {**role_documents.trust_policy(ours)}
        trust["Statement"] = [{**trust["Statement"][0], "Condition": {}}]
        before = role_of(session, ours, trust, {"theirs": THEIRS})
        _, notes = role_setup.ensure_role(session, ours)
        assert notes == (f"gave role {ours.role} the policy {POLICY}",)
        assert role_of(session, ours).keys() == {*before, POLICY}
        assert session.iam.get_role(RoleName=ours.role)["Role"]["AssumeRolePolicyDocument"] == trust
        role = roles.resolve_role(session, ours)
        assert role and roles.role_findings(role, ours) == ()
        needs = role_documents.role_needs(ours)
        assert roles.access_findings(session, role, needs, "role") == ()
        (kept,) = role_setup.release_role(session, ours)
        assert POLICY in kept and "which sageturner did not create" in kept
        assert role_of(session, ours) == before

    def test_regions_and_projects_take_nothing_from_each_other(
        self, session: AwsSession, ours: Names
    ) -> None:
        east = replace(ours, region="us-east-1", bucket=ours.bucket.replace("eu-west", "us-east"))
        other = replace(ours, bucket="their-models", repository="their-images")
        beside = replace(ours, bucket="third-models")
        everybody = (ours, east, other, beside)
        for project in everybody:
            role_setup.ensure_role(session, project)
        role = roles.resolve_role(session, ours)
        assert role

        def allowed() -> list[Names]:
            return [
                project
                for project in everybody
                if not roles.access_findings(
                    session, role, role_documents.role_needs(project), "role"
                )
            ]

        assert allowed() == [*everybody]
        share = role_setup.role_share(session, ours)
        assert share.uses_repository(ours) and not share.uses_bucket(ours)
        assert "us-east-1" in role_setup.release_role(session, other)[0]
        assert allowed() == [ours, east, beside]
        role_setup.release_role(session, east)
        assert role_of(session, ours).keys() == {POLICY}
        role_setup.release_role(session, beside)
        assert allowed() == [ours]
        assert role_setup.role_share(session, ours).line == f"role {ours.role}"
        role_setup.release_role(session, ours)
        assert roles.resolve_role(session, ours) is None

    def test_what_a_network_and_a_key_need_stays_when_setup_runs_without_them(
        self, session: AwsSession, ours: Names
    ) -> None:
        role_setup.ensure_role(session, ours, Extras(network=True, bucket_key="alias/models"))
        with_both = role_of(session, ours)
        assert "ec2:CreateNetworkInterface" in str(with_both) and "kms:Decrypt" in str(with_both)
        assert role_setup.ensure_role(session, ours)[1] == ()
        assert role_of(session, ours) == with_both

    @pytest.mark.parametrize("former_region", ["eu-west-1", "us-east-1"])
    def test_what_version_0_2_set_up_is_taken_over(
        self, session: AwsSession, ours: Names, former_region: str
    ) -> None:
        former = replace(ours, region=former_region, bucket=f"models-{former_region}")
        role_setup.ensure_role(session, former)
        written = json.dumps(role_documents.execution_policy(former))
        without_marks = re.sub(
            r"(ReadArtefacts|ListArtefacts|PullImages)[0-9a-f]{8}", r"\1", written
        )
        session.iam.delete_role_policy(RoleName=ours.role, PolicyName=f"sageturner-{former_region}")
        session.iam.put_role_policy(
            RoleName=ours.role, PolicyName="sageturner", PolicyDocument=without_marks
        )
        assert role_setup.role_share(session, former).line == f"role {ours.role}"
        assert role_setup.role_share(session, ours).others == (former,)
        _, notes = role_setup.ensure_role(session, ours)
        assert (
            f"moved the policy sageturner of role {ours.role} to sageturner-{former_region}"
            in notes
        )
        role = roles.resolve_role(session, ours)
        for project in (ours, former):
            needs = role_documents.role_needs(project)
            assert role and roles.access_findings(session, role, needs, "role") == ()
        assert role_of(session, ours).keys() == {POLICY, f"sageturner-{former_region}"}

    @pytest.mark.parametrize("ours_or_not", ["error", "warning"])
    def test_a_region_or_a_network_that_the_role_does_not_know_is_found_before_the_build(
        self, session: AwsSession, ours: Names, ours_or_not: str
    ) -> None:
        if ours_or_not == "warning":
            role_of(session, ours, role_documents.trust_policy(ours))
        config = Config(
            name="digits",
            artefact="./model",
            network=Network(subnets=("subnet-0a1b2c3d",), security_groups=("sg-0a1b2c3d",)),
        )
        role, _ = role_setup.ensure_role(session, ours)
        east = replace(ours, region="us-east-1")
        (elsewhere,) = roles.endpoint_findings(session, role, east)
        assert elsewhere.severity == ours_or_not and "ecr:BatchGetImage" in elsewhere.what
        assert "`sageturner setup --region us-east-1`" in elsewhere.do
        (network,) = roles.endpoint_findings(session, role, ours, config)
        assert network.severity == ours_or_not
        assert "ec2:CreateNetworkInterface" in network.what and "ecr:" not in network.what
        role_setup.ensure_role(session, ours, Extras(network=True))
        assert roles.endpoint_findings(session, role, ours, config) == ()

    def test_a_policy_of_that_name_by_somebody_else_is_left(
        self, session: AwsSession, ours: Names
    ) -> None:
        role_of(session, ours, role_documents.trust_policy(ours), {"sageturner": THEIRS})
        role_setup.ensure_role(session, ours)
        assert role_of(session, ours)["sageturner"] == THEIRS

    def test_a_path_and_a_permissions_boundary_are_given_to_the_role(
        self, session: AwsSession, ours: Names
    ) -> None:
        boundary = session.iam.create_policy(
            PolicyName="limit",
            PolicyDocument=json.dumps(role_documents.execution_policy(ours)),
        )["Policy"]["Arn"]
        names = replace(ours, role_path="/team/")
        role, _ = role_setup.ensure_role(session, names, boundary=boundary)
        assert role.arn == names.role_arn == f"arn:aws:iam::{ours.account}:role/team/{ours.role}"
        assert role.boundary == boundary
        assert role_setup.ensure_role(session, names, boundary=boundary)[1] == ()
        assert role_setup.ensure_role(session, names)[1] == ()
        role_setup.release_role(session, names)
        role_setup.ensure_role(session, ours)
        _, notes = role_setup.ensure_role(session, ours, boundary=boundary)
        assert notes == (f"set the permissions boundary of role {ours.role}",)

    def test_role_arn_and_role_name_are_each_used_as_what_they_are(
        self, session: AwsSession, ours: Names
    ) -> None:
        document = json.dumps(role_documents.trust_policy(ours))
        made = session.iam.create_role(
            RoleName="mine", Path="/team/", AssumeRolePolicyDocument=document
        )["Role"]
        by_name = roles.resolve_role(session, ours, role_name="mine")
        by_arn = roles.resolve_role(session, ours, role_arn=made["Arn"])
        assert by_name and by_name == by_arn and by_name.arn == made["Arn"]
        assert roles.role_findings(by_name, ours) == ()
        with pytest.raises(AwsError, match=r"belongs to account 999999999999"):
            roles.resolve_role(session, ours, role_arn="arn:aws:iam::999999999999:role/mine")

    def test_a_missing_role_is_a_finding(self, session: AwsSession, ours: Names) -> None:
        role = roles.resolve_role(session, ours)
        assert role is None
        assert "sageturner setup" in str(roles.role_findings(role, ours)[0])

    def test_teardown_removes_it_and_may_be_repeated(
        self, session: AwsSession, ours: Names
    ) -> None:
        role_setup.ensure_role(session, ours)
        assert role_setup.release_role(session, ours) == (f"deleted role {ours.role}",)
        assert role_setup.release_role(session, ours) == ()
        assert roles.resolve_role(session, ours) is None


class TestBucket:
    def test_is_made_hardened_and_tagged(self, session: AwsSession, ours: Names) -> None:
        ensure_bucket(session, ours)
        client, bucket = session.s3, ours.bucket
        assert client.get_bucket_location(Bucket=bucket)["LocationConstraint"] == "eu-west-1"
        access = client.get_public_access_block(Bucket=bucket)
        assert all(access["PublicAccessBlockConfiguration"].values())
        owner = client.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
        assert owner["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        assert client.get_bucket_encryption(Bucket=bucket)
        policy = json.loads(client.get_bucket_policy(Bucket=bucket)["Policy"])
        assert policy["Statement"] == [tls_statement(ours)]
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        assert rules[0]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
        tags = client.get_bucket_tagging(Bucket=bucket)["TagSet"]
        assert TAG_CREATED_BY in {tag["Key"] for tag in tags}

    def test_run_again_changes_nothing(self, session: AwsSession, ours: Names) -> None:
        assert len(ensure_bucket(session, ours)) >= 5
        assert ensure_bucket(session, ours) == ()

    def test_in_us_east_1_the_region_is_not_named(self, session: AwsSession) -> None:
        east = open_session(region="us-east-1")
        theirs = names_in(east)
        assert "created bucket" in ensure_bucket(east, theirs)[0]
        assert bucket_region(east, theirs) == "us-east-1"

    def test_drift_is_mended_and_what_the_user_added_stays(
        self, session: AwsSession, ours: Names
    ) -> None:
        ensure_bucket(session, ours)
        extra = {
            "Sid": "Mine",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": "s3:GetObject",
            "Resource": f"{ours.bucket_arn}/shared/*",
        }
        session.s3.put_bucket_policy(
            Bucket=ours.bucket,
            Policy=json.dumps({"Version": "2012-10-17", "Statement": [extra]}),
        )
        session.s3.delete_public_access_block(Bucket=ours.bucket)
        rule = {
            "ID": "old-shared",
            "Status": "Enabled",
            "Filter": {"Prefix": "shared/"},
            "Expiration": {"Days": 30},
        }
        session.s3.put_bucket_lifecycle_configuration(
            Bucket=ours.bucket,
            LifecycleConfiguration={"Rules": [rule]},  # type: ignore[typeddict-item,list-item]
        )
        assert ensure_bucket(session, ours) == (
            "blocked public access",
            "allowed access over TLS only",
            "set unfinished uploads to be removed after 7 days",
        )
        policy = json.loads(session.s3.get_bucket_policy(Bucket=ours.bucket)["Policy"])
        assert {s["Sid"] for s in policy["Statement"]} == {"Mine", TLS_SID}
        rules = session.s3.get_bucket_lifecycle_configuration(Bucket=ours.bucket)["Rules"]
        assert {r["ID"] for r in rules} == {"old-shared", RULE_ID}

    def test_a_bucket_that_an_interrupted_setup_left_is_adopted(
        self, session: AwsSession, ours: Names
    ) -> None:
        session.s3.create_bucket(
            Bucket=ours.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        assert "blocked public access" in ensure_bucket(session, ours)

    def test_a_bucket_of_the_users_own_is_used_as_it_is(
        self, session: AwsSession, ours: Names
    ) -> None:
        session.s3.create_bucket(
            Bucket="team-models", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        theirs = replace(ours, bucket="team-models")
        assert ensure_bucket(session, theirs) == (
            "left bucket team-models as it is, which is your own",
        )
        assert "kept bucket" in delete_bucket(session, theirs)[0]

    def test_the_key_of_a_bucket_is_found_unless_it_is_awss(
        self, session: AwsSession, ours: Names
    ) -> None:
        assert bucket_key(session, ours) == ""
        ensure_bucket(session, ours)
        assert bucket_key(session, ours) == ""
        for key, found in (("alias/mine", "alias/mine"), ("alias/aws/s3", "")):
            rule: Any = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
            session.s3.put_bucket_encryption(
                Bucket=ours.bucket,
                ServerSideEncryptionConfiguration={
                    "Rules": [{"ApplyServerSideEncryptionByDefault": rule}]
                },
            )
            assert bucket_key(session, ours) == found

    def test_a_bucket_that_is_not_ours_is_not_touched(
        self, session: AwsSession, ours: Names
    ) -> None:
        session.s3.create_bucket(
            Bucket=ours.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        session.s3.put_object(Bucket=ours.bucket, Key="precious", Body=b"x")
        with pytest.raises(AwsError, match=r"was not made by sageturner.*overrides: \{bucket_name"):
            ensure_bucket(session, ours)
        assert "kept bucket" in delete_bucket(session, ours)[0]
        assert session.s3.get_object(Bucket=ours.bucket, Key="precious")

    def test_teardown_empties_it_with_all_versions_and_may_be_repeated(
        self, session: AwsSession, ours: Names
    ) -> None:
        ensure_bucket(session, ours)
        session.s3.put_bucket_versioning(
            Bucket=ours.bucket, VersioningConfiguration={"Status": "Enabled"}
        )
        for body in (b"1", b"2"):
            session.s3.put_object(Bucket=ours.bucket, Key="k", Body=body)
        session.s3.delete_object(Bucket=ours.bucket, Key="k")
        session.s3.create_multipart_upload(Bucket=ours.bucket, Key="unfinished")
        assert "deleted bucket" in delete_bucket(session, ours)[0]
        assert delete_bucket(session, ours) == ()
        assert bucket_region(session, ours) is None
        assert "sageturner setup" in str(bucket_findings(session, ours)[0])


class TestRepository:
    def test_is_made_immutable_scanned_and_only_untagged_images_expire(
        self, session: AwsSession, ours: Names
    ) -> None:
        repository, notes = ecr.ensure_repository(session, ours)
        assert repository.ours and "created" in notes[0]
        found = session.ecr.describe_repositories(repositoryNames=[ours.repository])
        described = found["repositories"][0]
        assert described["imageTagMutability"] == "IMMUTABLE"
        assert described["imageScanningConfiguration"] == {"scanOnPush": True}
        policy = session.ecr.get_lifecycle_policy(repositoryName=ours.repository)
        rules = json.loads(policy["lifecyclePolicyText"])["rules"]
        assert [rule["selection"]["tagStatus"] for rule in rules] == ["untagged"]
        assert ecr.ensure_repository(session, ours) == (repository, ())

    def test_drift_is_mended(self, session: AwsSession, ours: Names) -> None:
        ecr.ensure_repository(session, ours)
        session.ecr.put_image_tag_mutability(
            repositoryName=ours.repository, imageTagMutability="MUTABLE"
        )
        session.ecr.delete_lifecycle_policy(repositoryName=ours.repository)
        _, notes = ecr.ensure_repository(session, ours)
        assert notes == ("made the tags immutable", "set untagged images to expire after 14 days")

    def test_one_of_the_users_own_is_used_as_it_is(self, session: AwsSession, ours: Names) -> None:
        session.ecr.create_repository(repositoryName=ours.repository)
        repository, notes = ecr.ensure_repository(session, ours)
        assert not repository.ours and notes == ()
        found = session.ecr.describe_repositories(repositoryNames=[ours.repository])
        assert found["repositories"][0]["imageTagMutability"] == "MUTABLE"
        assert "kept repository" in ecr.delete_repository(session, ours)[0]

    def test_images_are_found_by_tag_listed_and_deleted(
        self, session: AwsSession, ours: Names
    ) -> None:
        assert ecr.find_image(session, ours, tag="digits-1", architecture="amd64") is None
        assert ecr.list_images(session, ours) == ()
        ecr.ensure_repository(session, ours)
        assert ecr.find_image(session, ours, tag="digits-1", architecture="amd64") is None
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": "x", "size": 1, "digest": "sha256:" + "0" * 64},
            "layers": [],
        }
        session.ecr.put_image(
            repositoryName=ours.repository, imageManifest=json.dumps(manifest), imageTag="digits-1"
        )
        image = ecr.find_image(session, ours, tag="digits-1", architecture="amd64")
        assert image and image.pinned.endswith(image.digest)
        assert image.repository.endswith("/" + ours.repository)
        (listed,) = ecr.list_images(session, ours)
        assert (listed.digest, listed.tags) == (image.digest, ("digits-1",))
        assert ecr.delete_images(session, ours, [image.digest]) == 1
        assert ecr.delete_images(session, ours, [image.digest]) == 0
        assert ecr.list_images(session, ours) == ()
        assert "deleted repository" in ecr.delete_repository(session, ours)[0]
        assert ecr.delete_repository(session, ours) == ()
        assert ecr.delete_images(session, ours, [image.digest]) == 0
