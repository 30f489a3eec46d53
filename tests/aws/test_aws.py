"""What the stand's AWS refuses and shows, with the engine and registry behind it idle."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError

from tests.stand import Keys, Stand
from tests.stand.fixtures import BUCKET, Account

pytestmark = [pytest.mark.docker, pytest.mark.registry]

NO_RETRIES = Config(retries={"total_max_attempts": 1})


def policy(*statements: tuple[str | list[str], str]) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": action, "Resource": resource}
            for action, resource in statements
        ],
    }


def variant(**settings: Any) -> dict[str, Any]:
    return {"VariantName": "AllTraffic", "ModelName": "listed-0", **settings}


@pytest.fixture(scope="module")
def models(account: Account) -> Account:
    for number in range(5):
        account.create_model(f"listed-{number}")
    return account


def test_boto3_needs_nothing_but_the_environment(stand: Stand) -> None:
    assert boto3.client("sts").get_caller_identity()["Account"] == stand.account
    for service, call in (
        ("s3", "list_buckets"),
        ("iam", "list_roles"),
        ("ecr", "describe_repositories"),
        ("logs", "describe_log_groups"),
        ("resourcegroupstaggingapi", "get_resources"),
        ("sagemaker", "list_endpoints"),
        ("cloudwatch", "describe_alarms"),
    ):
        client: Any = boto3.client(service)  # type: ignore[call-overload]
        assert getattr(client, call)()["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ServerlessConfig": {"MemorySizeInMB": 1500, "MaxConcurrency": 1}}, "MemorySizeInMB"),
        ({"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 500}}, "axConcurrency"),
        (
            {
                "ServerlessConfig": {
                    "MemorySizeInMB": 1024,
                    "MaxConcurrency": 2,
                    "ProvisionedConcurrency": 3,
                }
            },
            "ProvisionedConcurrency must be less",
        ),
        ({"InstanceType": "ml.huge", "InitialInstanceCount": 1}, "enum value set"),
        ({"InstanceType": "ml.m5.large"}, "InitialInstanceCount must be specified"),
        (
            {"InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1, "VolumeSizeInGB": 10},
            "VolumeSizeInGB",
        ),
        (
            {
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
                "ContainerStartupHealthCheckTimeoutInSeconds": 10000,
            },
            "containerStartupHealthCheckTimeoutInSeconds.*less than or equal to 3600",
        ),
        ({}, "Either InstanceType or ServerlessConfig"),
    ],
)
def test_settings_that_botocore_lets_through_are_refused(
    models: Account, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message) as caught:
        models.sagemaker.create_endpoint_config(
            EndpointConfigName="wrong", ProductionVariants=[variant(**wrong)]
        )
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_names_duplicates_and_what_is_missing_are_refused_in_awss_words(models: Account) -> None:
    sagemaker = models.sagemaker
    with pytest.raises(ClientError, match="at 'modelName' failed to satisfy constraint: Member"):
        models.create_model("under_score")
    with pytest.raises(ClientError, match='Cannot create already existing model "arn:aws'):
        models.create_model("listed-0")
    with pytest.raises(ClientError, match="Could not find model"):
        models.create_config("no-model", "nothing")
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        sagemaker.create_endpoint(EndpointName="no-config", EndpointConfigName="nothing")
    with pytest.raises(ClientError, match="Could not find endpoint "):
        sagemaker.delete_endpoint(EndpointName="nothing")
    with pytest.raises(ClientError, match="Endpoint nothing of account 123456789012 not found"):
        models.runtime.invoke_endpoint(EndpointName="nothing", Body=b"{}")
    missing = models.image.replace(models.image[-8:], "00000000")
    with pytest.raises(ClientError, match=r"Requested image .* not found"):
        Account(models.stand, missing, models.role).create_model("no-image")
    with pytest.raises(ClientError, match="Using non-ECR image"):
        Account(models.stand, "docker.io/library/python:3", models.role).create_model("no-ecr")
    with pytest.raises(ClientError, match="Could not find model data"):
        models.create_model("no-data", ModelDataUrl=f"s3://{BUCKET}/nothing.tar.gz")
    with pytest.raises(ClientError, match="at most 32768 bytes"):
        environment = {f"KEY_{n}": "x" * 1000 for n in range(40)}
        models.create_model("environment", Environment=environment)


def test_serverless_models_take_no_network_and_no_prefix(models: Account) -> None:
    source = {
        "S3Uri": models.upload("prefix/x", {}).removesuffix("x"),
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    models.create_model("prefix", ModelDataSource={"S3DataSource": source})
    with pytest.raises(ClientError, match="ModelDataSource is not supported for serverless"):
        models.create_config("prefix", "prefix")


def test_a_configuration_may_take_a_moment_to_be_seen(models: Account) -> None:
    models.stand.faults.config_delay_s = 60
    models.create_config("late", "listed-0")
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        models.sagemaker.create_endpoint(EndpointName="late", EndpointConfigName="late")


def test_lists_are_filtered_sorted_and_paged(models: Account) -> None:
    def names(**wanted: Any) -> list[str]:
        pages = models.sagemaker.get_paginator("list_models").paginate(
            NameContains="listed-", **wanted
        )
        return [item["ModelName"] for page in pages for item in page["Models"]]

    ordered = [f"listed-{number}" for number in range(5)]
    assert names() == ordered[::-1]
    assert names(SortOrder="Ascending", PaginationConfig={"PageSize": 2}) == ordered
    assert names(SortBy="Name", SortOrder="Descending") == ordered[::-1]
    created = models.sagemaker.describe_model(ModelName="listed-2")["CreationTime"]
    hour = timedelta(hours=1)
    assert names(CreationTimeAfter=created + hour) == names(CreationTimeBefore=created - hour) == []
    assert len(names(CreationTimeAfter=created - hour, CreationTimeBefore=created + hour)) == 5


def test_tags_are_listed_changed_and_found_by_the_tagging_api(models: Account) -> None:
    sagemaker = models.sagemaker
    arn = sagemaker.describe_model(ModelName="listed-1")["ModelArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "search"}])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "search"}]
    tagging = models.stand.client("resourcegroupstaggingapi")
    found = tagging.get_resources(
        TagFilters=[{"Key": "team", "Values": ["search"]}], ResourceTypeFilters=["sagemaker"]
    )
    assert [item["ResourceARN"] for item in found["ResourceTagMappingList"]] == [arn]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == []


def test_prices_are_filtered_like_the_price_list(stand: Stand) -> None:
    answer = stand.client("pricing", region_name="us-east-1").get_products(
        ServiceCode="AmazonSageMaker",
        Filters=[
            {"Type": "TERM_MATCH", "Field": "regionCode", "Value": "eu-west-1"},
            {"Type": "TERM_MATCH", "Field": "instanceName", "Value": "ml.m5.large"},
            {"Type": "TERM_MATCH", "Field": "component", "Value": "Hosting"},
        ],
    )
    (product,) = map(json.loads, answer["PriceList"])
    (term,) = product["terms"]["OnDemand"].values()
    (dimension,) = term["priceDimensions"].values()
    assert dimension["unit"] == "Hrs"
    assert 0.1 < float(dimension["pricePerUnit"]["USD"]) < 0.2


def test_quotas_are_listed_and_bind(models: Account) -> None:
    models.stand.quotas.set("ml.c5.large", 1)
    quotas = models.stand.client("service-quotas")
    pages = quotas.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
    found = {item["QuotaName"]: item for page in pages for item in page["Quotas"]}
    quota = found["ml.c5.large for endpoint usage"]
    got = quotas.get_service_quota(ServiceCode="sagemaker", QuotaCode=quota["QuotaCode"])
    assert got["Quota"]["Value"] == 1
    models.create_config(
        "over-quota", "listed-0", InstanceType="ml.c5.large", InitialInstanceCount=2
    )
    with pytest.raises(ClientError, match=r"'ml.c5.large for endpoint usage' is 1 Instances"):
        models.sagemaker.create_endpoint(EndpointName="over-quota", EndpointConfigName="over-quota")


def test_a_bucket_of_somebody_else_is_theirs(stand: Stand) -> None:
    stand.create_strangers_bucket("taken-sagemaker")
    s3 = stand.client("s3")
    location = {"LocationConstraint": stand.region}
    with pytest.raises(ClientError, match="BucketAlreadyExists"):
        s3.create_bucket(Bucket="taken-sagemaker", CreateBucketConfiguration=location)
    with pytest.raises(ClientError, match="403"):
        s3.head_bucket(Bucket="taken-sagemaker")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket="taken-sagemaker", Key="a", Body=b"a")


def test_the_tags_of_a_bucket_go_with_it(stand: Stand) -> None:
    s3, bucket = stand.client("s3"), "bucket-of-a-moment"
    create: dict[str, Any] = {
        "Bucket": bucket,
        "CreateBucketConfiguration": {"LocationConstraint": stand.region},
    }
    s3.create_bucket(**create)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "of", "Value": "old"}]})
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(**create)
    with pytest.raises(ClientError, match="NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=bucket)
    s3.delete_bucket(Bucket=bucket)


def test_the_expected_owner_is_enforced(account: Account) -> None:
    s3 = account.stand.client("s3")
    own, other = account.stand.account, "111111111111"
    assert s3.put_object(Bucket=BUCKET, Key="own", Body=b"a", ExpectedBucketOwner=own)
    for call, more in (
        (s3.put_object, {"Key": "own", "Body": b"b"}),
        (s3.get_object, {"Key": "own"}),
        (s3.list_objects_v2, {}),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            call(Bucket=BUCKET, ExpectedBucketOwner=other, **more)


def test_a_tls_only_bucket_policy_takes_the_stand_for_https(stand: Stand) -> None:
    s3 = stand.client("s3")
    location = {"LocationConstraint": stand.region}
    s3.create_bucket(Bucket="policy-sagemaker", CreateBucketConfiguration=location)

    def deny(condition: dict[str, Any]) -> None:
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*Object",
            "Resource": "arn:aws:s3:::policy-sagemaker/*",
            "Condition": condition,
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        s3.put_bucket_policy(Bucket="policy-sagemaker", Policy=document)

    deny({"Bool": {"aws:SecureTransport": "false"}})
    s3.put_object(Bucket="policy-sagemaker", Key="a", Body=b"a")
    deny({"StringEquals": {"aws:PrincipalAccount": stand.account}})
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket="policy-sagemaker", Key="a", Body=b"a")


def test_a_user_may_do_what_their_policy_says_and_nothing_else(account: Account) -> None:
    stand = account.stand
    allowed = policy(
        ("s3:PutObject", f"arn:aws:s3:::{BUCKET}/mine/*"),
        ("ecr:DescribeRepositories", "arn:aws:ecr:*:*:repository/other"),
        (["sagemaker:CreateModel", "sagemaker:DescribeModel"], "*"),
        ("iam:GetRole", f"arn:aws:iam::{stand.account}:role/stand-*"),
        ("logs:DescribeLogStreams", "arn:aws:logs:*:*:log-group:/aws/sagemaker/*"),
    )
    keys = stand.create_user("narrow", allowed)
    s3, iam = stand.client("s3", keys), stand.client("iam", keys)
    sagemaker, logs = stand.client("sagemaker", keys), stand.client("logs", keys)
    s3.put_object(Bucket=BUCKET, Key="mine/a", Body=b"a")
    iam.get_role(RoleName="stand-sagemaker")
    denied: list[Callable[[], Any]] = [
        lambda: s3.put_object(Bucket=BUCKET, Key="yours/a", Body=b"a"),
        lambda: s3.get_object(Bucket=BUCKET, Key="mine/a"),
        lambda: s3.create_bucket(Bucket="narrow-bucket"),
        lambda: iam.get_role(RoleName="admin"),
        lambda: iam.list_roles(),
        lambda: sagemaker.list_models(),
        lambda: sagemaker.delete_model(ModelName="listed-0"),
        lambda: stand.client("ecr", keys).describe_repositories(repositoryNames=["mine"]),
        lambda: stand.client("ecr", keys).get_authorization_token(),
        lambda: logs.describe_log_streams(logGroupName="/aws/lambda/x"),
        lambda: stand.client("sagemaker-runtime", keys).invoke_endpoint(EndpointName="x", Body=b""),
        lambda: stand.client("pricing", keys, region_name="us-east-1").describe_services(),
    ]
    for call in denied:
        with pytest.raises(ClientError, match="AccessDenied"):
            call()
    # Creating a model hands SageMaker a role, which is a permission of its own.
    with pytest.raises(ClientError, match="iam:PassRole"):
        sagemaker.create_model(
            ModelName="passed",
            ExecutionRoleArn=account.role,
            PrimaryContainer={"Image": account.image},
        )
    with pytest.raises(ClientError, match="ResourceNotFound"):
        logs.describe_log_streams(logGroupName="/aws/sagemaker/Endpoints/none")


def test_one_run_shows_which_statements_of_a_policy_nothing_needs(account: Account) -> None:
    wanted = policy(
        (["s3:PutObject", "s3:GetObject"], f"arn:aws:s3:::{BUCKET}/*"),
        ("sagemaker:ListModels", "*"),
        ("s3:Put*", f"arn:aws:s3:::{BUCKET}/public/*"),
    )
    keys = account.stand.create_user("thrifty", wanted)
    account.stand.client("s3", keys).put_object(Bucket=BUCKET, Key="private/a", Body=b"a")
    account.stand.client("sagemaker", keys).list_models()
    assert account.stand.spare("thrifty", wanted) == ["0: s3:GetObject", "2: s3:Put*"]
    with pytest.raises(AssertionError, match=r"does not allow .*s3:PutObject"):
        account.stand.spare("thrifty", policy(("sagemaker:*", "*")))


def test_conditions_on_tags_and_passed_services_decide(account: Account) -> None:
    stand = account.stand
    condition = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    tagged = {"StringEquals": {"aws:RequestTag/team": "search"}}
    statements = [
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*", "Condition": condition},
        {
            "Effect": "Allow",
            "Action": ["sagemaker:CreateModel", "sagemaker:AddTags"],
            "Resource": "*",
            "Condition": tagged,
        },
        {
            "Effect": "Allow",
            "Action": "sagemaker:DeleteModel",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:ResourceTag/team": "search"}},
        },
    ]
    keys = stand.create_user("tagger", {"Version": "2012-10-17", "Statement": statements})
    sagemaker = stand.client("sagemaker", keys)
    wanted = {
        "ModelName": "tagged",
        "ExecutionRoleArn": account.role,
        "PrimaryContainer": {"Image": account.image},
    }
    with pytest.raises(ClientError, match="AccessDenied"):
        sagemaker.create_model(**wanted)
    sagemaker.create_model(**wanted, Tags=[{"Key": "team", "Value": "search"}])
    sagemaker.delete_model(ModelName="tagged")


def test_without_list_permission_a_missing_object_is_forbidden(account: Account) -> None:
    get = ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/*")
    blind = account.stand.create_user("blind", policy(get))
    seeing = account.stand.create_user(
        "seeing", policy(get, ("s3:ListBucket", f"arn:aws:s3:::{BUCKET}"))
    )
    with pytest.raises(ClientError, match="403"):
        account.stand.client("s3", blind).head_object(Bucket=BUCKET, Key="nothing")
    with pytest.raises(ClientError, match="404"):
        account.stand.client("s3", seeing).head_object(Bucket=BUCKET, Key="nothing")


def test_unknown_keys_and_assumed_roles(account: Account) -> None:
    stand = account.stand
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        stand.client("sts", Keys("AKIANOBODY", "x" * 40)).get_caller_identity()
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{stand.account}:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    iam = stand.client("iam")
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    reads = json.dumps(policy(("sagemaker:ListModels", "*")))
    iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=reads)
    session = stand.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="session")
    given = session["Credentials"]
    sagemaker = boto3.client(
        "sagemaker",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    assert "Models" in sagemaker.list_models()
    with pytest.raises(ClientError, match="assumed-role/reader/session is not authorized"):
        sagemaker.list_endpoints()
    nobody = stand.create_user("nobody", policy(("s3:*", "*")))
    with pytest.raises(ClientError, match="sts:AssumeRole"):
        stand.client("sts", nobody).assume_role(RoleArn=role["Arn"], RoleSessionName="session")


def test_the_first_scalable_target_needs_the_service_linked_role(stand: Stand) -> None:
    scaling = (["application-autoscaling:*", "sagemaker:*"], "*")
    wanted = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/scaled/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "MinCapacity": 1,
        "MaxCapacity": 2,
    }
    without = stand.create_user("scaler", policy(scaling))
    with pytest.raises(ClientError, match="iam:CreateServiceLinkedRole"):
        stand.client("application-autoscaling", without).register_scalable_target(**wanted)
    link = ("iam:CreateServiceLinkedRole", "arn:aws:iam::*:role/aws-service-role/*")
    able = stand.create_user("scaler-2", policy(scaling, link))
    stand.client("application-autoscaling", able).register_scalable_target(**wanted)
    stand.client("application-autoscaling", without).register_scalable_target(**wanted)


def test_a_share_of_all_calls_is_throttled_and_retries_get_through(stand: Stand) -> None:
    stand.faults.set(throttle_percent="30", seed=1)
    for service, call, code in (
        ("sagemaker", "list_models", "ThrottlingException"),
        ("iam", "list_roles", "Throttling"),
        ("s3", "list_buckets", "SlowDown"),
        ("ecr", "describe_repositories", "ThrottlingException"),
    ):
        once = getattr(stand.client(service, config=NO_RETRIES), call)
        codes = []
        for _ in range(40):
            try:
                once()
            except ClientError as error:
                codes.append(error.response["Error"]["Code"])
        assert set(codes) == {code}
        assert 3 <= len(codes) <= 25
        stubborn = Config(retries={"mode": "standard", "total_max_attempts": 10})
        assert getattr(stand.client(service, config=stubborn), call)()


def test_connections_are_reset_and_calls_stall_on_demand(stand: Stand) -> None:
    stand.faults.set(reset_percent=100, services="iam")
    with pytest.raises((HTTPClientError, EndpointConnectionError)):
        stand.client("iam", config=NO_RETRIES).list_roles()
    assert "Models" in stand.client("sagemaker", config=NO_RETRIES).list_models()
    stand.faults.clear()
    stand.faults.set(stall_percent=100, stall_s=0.5)
    started = time.monotonic()
    stand.client("iam").list_roles()
    assert time.monotonic() - started >= 0.5


def test_uploads_to_s3_break_off_half_way(account: Account) -> None:
    s3 = account.stand.client("s3", config=NO_RETRIES)
    account.stand.faults.set(s3_fail_upload=2)
    started = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")

    def part(number: int) -> dict[str, Any]:
        answer = s3.upload_part(
            Bucket=BUCKET,
            Key="parts",
            UploadId=started["UploadId"],
            PartNumber=number,
            Body=b"x" * (5 << 20),
        )
        return {"PartNumber": number, "ETag": answer["ETag"]}

    first = part(1)
    with pytest.raises(HTTPClientError):
        part(2)
    there = s3.list_parts(Bucket=BUCKET, Key="parts", UploadId=started["UploadId"])["Parts"]
    assert [item["PartNumber"] for item in there] == [1]
    s3.complete_multipart_upload(
        Bucket=BUCKET,
        Key="parts",
        UploadId=started["UploadId"],
        MultipartUpload={"Parts": [first, part(2)]},
    )
    assert s3.head_object(Bucket=BUCKET, Key="parts")["ContentLength"] == 10 << 20
