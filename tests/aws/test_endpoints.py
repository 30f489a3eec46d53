"""Endpoints on the stand, driven with nothing but boto3."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.parts.waiting import wait_for
from tests.stand.fixtures import REPOSITORY, Account

pytestmark = [pytest.mark.docker, pytest.mark.registry]

NO_RETRIES = Config(retries={"total_max_attempts": 1})
SERVER = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}


def invoke(account: Account, endpoint: str, **request: Any) -> bytes:
    answer = account.runtime.invoke_endpoint(
        EndpointName=endpoint, Body=json.dumps(request), ContentType="application/json"
    )
    body: bytes = answer["Body"].read()
    return body


def test_a_serverless_endpoint_serves_the_artefact_in_a_locked_down_container(
    account: Account,
) -> None:
    uri = account.upload("one/model.tar.gz", {"weights/w.txt": b"42"})
    account.create("one", ModelDataUrl=uri, Environment={"COLOUR": "red"})
    assert account.sagemaker.describe_endpoint(EndpointName="one")["EndpointStatus"] == "Creating"
    found = account.settled("one")
    assert found["EndpointStatus"] == "InService", found
    assert found["ProductionVariants"][0]["DeployedImages"][0]["ResolvedImage"] == account.image
    assert invoke(account, "one", do="file", name="weights/w.txt") == b"42"
    assert invoke(account, "one", do="write", path="/tmp/x") == b"written"
    for path in ("/opt/ml/model/x", "/root/x", "/x"):
        assert invoke(account, "one", do="write", path=path) != b"written"
    about = json.loads(invoke(account, "one"))
    assert about["arguments"] == ["serve"]
    assert about["user"] != 0
    assert about["environment"]["COLOUR"] == "red"
    assert account.log("one", until="answering").startswith("serving")


def test_a_server_endpoint_runs_as_root_and_its_model_folder_is_read_only(
    account: Account,
) -> None:
    prefix = account.upload("two/model.txt", {}).removesuffix("model.txt")
    source = {"S3Uri": prefix, "S3DataType": "S3Prefix", "CompressionType": "None"}
    account.create("two", variant=SERVER, ModelDataSource={"S3DataSource": source})
    assert account.settled("two")["EndpointStatus"] == "InService"
    assert invoke(account, "two", do="file", name="model.txt")
    assert invoke(account, "two", do="write", path="/x") == b"written"
    assert invoke(account, "two", do="write", path="/opt/ml/model/x") != b"written"
    assert json.loads(invoke(account, "two"))["user"] == 0


def test_only_the_contracts_headers_reach_the_container(account: Account) -> None:
    account.create("headers")
    account.settled("headers")
    answer = account.runtime.invoke_endpoint(
        EndpointName="headers",
        Body=b"{}",
        ContentType="application/json",
        Accept="text/plain",
        CustomAttributes="a=1",
        InferenceId="inference-1",
    )
    about = json.loads(answer["Body"].read())
    assert answer["CustomAttributes"] == "from=model"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert {name.lower() for name in about["headers"]} == {
        "host",
        "accept-encoding",
        "content-length",
        "content-type",
        "accept",
        "x-amzn-sagemaker-custom-attributes",
        "x-amzn-sagemaker-inference-id",
    }


def test_what_a_model_answers_with_an_error_is_a_model_error(account: Account) -> None:
    account.create("errors")
    account.settled("errors")
    with pytest.raises(ClientError) as caught:
        invoke(account, "errors", do="fail", status=422, message="no pixels")
    answer: Any = caught.value.response
    assert answer["Error"]["Code"] == "ModelError"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["OriginalStatusCode"] == 422
    assert answer["OriginalMessage"] == "no pixels"
    assert answer["LogStreamArn"].endswith("/aws/sagemaker/Endpoints/errors")
    account.stand.limits.invocation_s = 1
    with pytest.raises(ClientError, match=r"\(0\) from primary .* timed out"):
        invoke(account, "errors", do="sleep", seconds=3)


def test_bodies_over_the_limits_are_refused_both_ways(account: Account) -> None:
    account.create("large")
    account.settled("large")
    with pytest.raises(ClientError, match="413"):
        account.runtime.invoke_endpoint(EndpointName="large", Body=b"x" * ((4 << 20) + 1))
    assert len(invoke(account, "large", do="large", bytes=4 << 20)) == 4 << 20
    with pytest.raises(ClientError, match="oversize body"):
        invoke(account, "large", do="large", bytes=(4 << 20) + 1)


def test_a_response_stream_arrives_part_by_part_and_its_break_is_an_error(
    account: Account,
) -> None:
    account.create("stream")
    account.settled("stream")

    def stream(**request: Any) -> Any:
        answer = account.runtime.invoke_endpoint_with_response_stream(
            EndpointName="stream", Body=json.dumps({"do": "stream", **request})
        )
        assert answer["ContentType"] == "application/jsonlines"
        return answer["Body"]

    parts = [item["PayloadPart"]["Bytes"] for item in stream(parts=["one\n", "two\n", "three\n"])]
    assert parts == [b"one\n", b"two\n", b"three\n"]
    seen = []
    with pytest.raises(ClientError, match="ModelStreamError"):
        seen.extend(iter(stream(parts=["one\n"], breaks=True)))
    assert seen == [{"PayloadPart": {"Bytes": b"one\n"}}]
    with pytest.raises(ClientError, match="teapot"):
        account.runtime.invoke_endpoint_with_response_stream(
            EndpointName="stream",
            Body=json.dumps({"do": "fail", "status": 418, "message": "teapot"}),
        )


def test_more_requests_at_once_than_max_concurrency_are_throttled(account: Account) -> None:
    few = {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}
    account.create("busy", variant=few)
    account.settled("busy")
    outcomes: list[str] = []

    def call() -> None:
        # Retries would hide what is asked for here.
        client = account.stand.client("sagemaker-runtime", config=NO_RETRIES)
        try:
            body = json.dumps({"do": "sleep", "seconds": 2})
            client.invoke_endpoint(EndpointName="busy", Body=body)["Body"].read()
            outcomes.append("answered")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["ThrottlingException", "answered"]


def test_invocations_are_counted_in_cloudwatch(account: Account) -> None:
    account.create("counted")
    account.settled("counted")
    invoke(account, "counted")
    with pytest.raises(ClientError, match="ModelError"):
        invoke(account, "counted", do="fail", status=500, message="no")
    dimensions = [
        {"Name": "EndpointName", "Value": "counted"},
        {"Name": "VariantName", "Value": "AllTraffic"},
    ]
    now = datetime.now(timezone.utc)

    def query(metric: str) -> dict[str, Any]:
        about = {"Namespace": "AWS/SageMaker", "MetricName": metric, "Dimensions": dimensions}
        stat = {"Metric": about, "Period": 3600, "Stat": "Sum"}
        return {"Id": metric.lower(), "Label": metric, "MetricStat": stat}

    found = account.stand.client("cloudwatch").get_metric_data(
        MetricDataQueries=[query("Invocations"), query("Invocation5XXErrors")],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
    )
    sums = {item["Label"]: sum(item["Values"]) for item in found["MetricDataResults"]}
    assert sums == {"Invocations": 2, "Invocation5XXErrors": 1}


def test_an_update_switches_over_and_a_failing_one_keeps_the_old_version(
    account: Account,
) -> None:
    account.create("update", variant=SERVER, Environment={"VERSION": "1"})
    account.settled("update")
    account.create_model("update-2", Environment={"VERSION": "2"})
    account.create_config("update-2", "update-2", **SERVER)
    account.stand.faults.transition_s = 1
    account.sagemaker.update_endpoint(EndpointName="update", EndpointConfigName="update-2")
    found = account.sagemaker.describe_endpoint(EndpointName="update")
    assert found["EndpointStatus"] == "Updating"
    assert found["PendingDeploymentSummary"]["EndpointConfigName"] == "update-2"
    assert json.loads(invoke(account, "update"))["environment"]["VERSION"] == "1"
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        account.sagemaker.delete_endpoint(EndpointName="update")
    found = account.settled("update")
    assert found["EndpointConfigName"] == "update-2"
    assert "FailureReason" not in found
    assert json.loads(invoke(account, "update"))["environment"]["VERSION"] == "2"
    # The old container was asked to stop before anything harder.
    assert "stopping" in account.log("update", until="stopping")

    account.stand.faults.clear()
    account.create_model("update-3", Environment={"CRASH": "no such module"})
    account.create_config("update-3", "update-3", **SERVER)
    account.sagemaker.update_endpoint(EndpointName="update", EndpointConfigName="update-3")
    found = account.settled("update")
    assert found["EndpointStatus"] == "InService"
    assert found["EndpointConfigName"] == "update-2"
    assert "did not pass the ping health check" in found["FailureReason"]
    assert json.loads(invoke(account, "update"))["environment"]["VERSION"] == "2"
    assert "no such module" in account.log("update", until="no such module")


def test_blue_green_updates_wait_bake_and_roll_back_on_an_alarm(account: Account) -> None:
    account.create("alarm", variant=SERVER)
    account.settled("alarm")
    cloudwatch = account.stand.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="errors", ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1
    )
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")
    account.create_config("alarm-2", "alarm", **SERVER)
    account.sagemaker.update_endpoint(
        EndpointName="alarm",
        EndpointConfigName="alarm-2",
        DeploymentConfig={
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {
                    "Type": "CANARY",
                    "WaitIntervalInSeconds": 10,
                    "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
                },
                "TerminationWaitInSeconds": 10,
            },
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
        },
    )
    found = account.settled("alarm")
    assert found["EndpointConfigName"] == "alarm"
    assert "entered ALARM state" in found["FailureReason"]


@pytest.mark.parametrize(
    ("name", "container", "reason"),
    [
        ("crash", {"Environment": {"CRASH": "boom"}}, "did not pass the ping health check"),
        ("silent", {"Environment": {"PING": "never"}}, "within the allotted 180 second timeout"),
    ],
)
def test_a_container_that_does_not_come_up_fails_the_endpoint(
    account: Account, name: str, container: dict[str, Any], reason: str
) -> None:
    if name == "silent":
        account.stand.timing.startup_scale = 0.03
    account.create(name, **container)
    found = account.settled(name)
    assert found["EndpointStatus"] == "Failed"
    assert reason in found["FailureReason"]
    with pytest.raises(ClientError, match="with status"):
        account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=name)
    account.sagemaker.delete_endpoint(EndpointName=name)


def test_links_in_the_archive_fail_the_endpoint(account: Account) -> None:
    uri = account.upload("links/model.tar.gz", {"a": b"a"}, links={"b": "a"})
    account.create("links", ModelDataUrl=uri)
    reason = account.settled("links")["FailureReason"]
    assert reason.startswith("Failed to extract model data archive")


def test_a_folder_marker_fails_an_uncompressed_model(account: Account) -> None:
    account.stand.client("s3").put_object(Bucket="stand-sagemaker-models", Key="marker/", Body=b"")
    source = {
        "S3Uri": "s3://stand-sagemaker-models/marker/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    account.create("marker", variant=SERVER, ModelDataSource={"S3DataSource": source})
    assert "marker/" in account.settled("marker")["FailureReason"]


def test_an_image_over_the_serverless_limit_fails_the_endpoint(account: Account) -> None:
    account.stand.limits.serverless_image_bytes = 1 << 20
    account.create("huge")
    reason = account.settled("huge")["FailureReason"]
    assert reason.startswith("Image size ")
    assert reason.endswith("is greater than supported size 1048576")


def test_reasons_on_demand(account: Account) -> None:
    account.stand.faults.endpoint_failure = "The lights went out."
    account.create("demand")
    assert account.settled("demand")["FailureReason"] == "The lights went out."
    account.stand.faults.no_capacity = "ml.g5.xlarge"
    account.create("capacity", variant={"InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1})
    assert "InsufficientInstanceCapacity" in account.settled("capacity")["FailureReason"]
    account.stand.quotas.set("ml.p4d.24xlarge", 0)
    account.create_model("quota")
    account.create_config("quota", "quota", InstanceType="ml.p4d.24xlarge", InitialInstanceCount=1)
    with pytest.raises(ClientError, match=r"ResourceLimitExceeded.*is 0 Instances"):
        account.sagemaker.create_endpoint(EndpointName="quota", EndpointConfigName="quota")
    account.stand.faults.cold_starts = 2
    account.create("cold")
    account.settled("cold")
    once = account.stand.client("sagemaker-runtime", config=NO_RETRIES)
    for _ in range(2):
        with pytest.raises(ClientError, match="ModelNotReadyException"):
            once.invoke_endpoint(EndpointName="cold", Body=b"{}")
    assert once.invoke_endpoint(EndpointName="cold", Body=b"{}")["Body"].read()


def test_an_endpoint_goes_only_when_it_has_settled_and_then_completely(account: Account) -> None:
    account.stand.faults.transition_s = 1
    account.create("gone")
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        account.sagemaker.delete_endpoint(EndpointName="gone")
    account.settled("gone")
    with pytest.raises(ClientError, match="Cannot delete model"):
        account.sagemaker.delete_model(ModelName="gone")
    before = len(account.stand.inventory()["containers"])
    # AWS advises against it and allows it.
    account.sagemaker.delete_endpoint_config(EndpointConfigName="gone")
    assert account.sagemaker.describe_endpoint(EndpointName="gone")["EndpointStatus"] == "InService"
    account.sagemaker.delete_endpoint(EndpointName="gone")
    account.sagemaker.delete_model(ModelName="gone")

    def gone() -> bool:
        return "gone" not in account.stand.inventory().get("endpoints", [])

    wait_for("the endpoint's end", gone)
    left = account.stand.inventory()
    assert len(left.get("containers", [])) == before - 1
    assert "gone" not in left.get("models", []) + left.get("endpoint configurations", [])
    with pytest.raises(ClientError, match="Could not find endpoint"):
        account.sagemaker.describe_endpoint(EndpointName="gone")


def test_a_container_that_ends_is_started_again(account: Account) -> None:
    account.create("again")
    account.settled("again")
    with pytest.raises(ClientError, match="ModelError"):
        invoke(account, "again", do="end")

    def answers() -> bool:
        try:
            return bool(invoke(account, "again"))
        except ClientError:
            return False

    wait_for("the endpoint to answer again", answers)
    assert account.stand.ping_failures("again")


def test_the_execution_role_needs_each_of_its_permissions(account: Account) -> None:
    iam = account.stand.client("iam")
    uri = account.upload("role/model.tar.gz", {"a": b"a"})
    policy = iam.get_role_policy(RoleName="stand-sagemaker", PolicyName="models")
    statements = policy["PolicyDocument"]["Statement"]

    def role_without(action: str) -> str:
        name = f"without-{action.partition(':')[2]}"
        arn = account.stand.create_role(name, "stand-sagemaker-models", REPOSITORY)
        rest = [item for item in statements if action not in item["Action"]]
        document = json.dumps({"Version": "2012-10-17", "Statement": rest})
        iam.put_role_policy(RoleName=name, PolicyName="models", PolicyDocument=document)
        return arn

    for action, message in (
        ("s3:GetObject", "Could not access model data"),
        ("ecr:GetAuthorizationToken", "does not have GetAuthorizationToken permission"),
        ("ecr:BatchGetImage", "does not have BatchGetImage permission"),
    ):
        with pytest.raises(ClientError, match=message):
            account.sagemaker.create_model(
                ModelName="never",
                ExecutionRoleArn=role_without(action),
                PrimaryContainer={"Image": account.image, "ModelDataUrl": uri},
            )
    silent = Account(account.stand, account.image, role_without("logs:PutLogEvents"))
    silent.create("silent-log")
    silent.settled("silent-log")
    names = account.stand.inventory().get("log groups", [])
    assert "/aws/sagemaker/Endpoints/silent-log" not in names


def test_only_roles_that_sagemaker_may_assume_by_now_are_taken(account: Account) -> None:
    iam = account.stand.client("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    closed = iam.create_role(RoleName="closed", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    for role in (closed, "arn:aws:iam::123456789012:role/nobody"):
        with pytest.raises(ClientError, match="Could not assume role"):
            Account(account.stand, account.image, role).create_model("never")
    account.stand.faults.role_delay_s = 2
    fresh = account.stand.create_role("fresh", "stand-sagemaker-models", REPOSITORY)
    late = Account(account.stand, account.image, fresh)
    with pytest.raises(ClientError, match="Could not assume role"):
        late.create_model("late")

    def created() -> bool:
        try:
            late.create_model("late")
        except ClientError:
            return False
        return True

    wait_for("the role to be seen", created)


def test_faults_and_pages_of_the_control_plane(account: Account) -> None:
    account.create_model("paged")
    for number in range(11):
        account.create_config(f"paged-{number}", "paged")
    first = account.sagemaker.list_endpoint_configs(NameContains="paged-")
    assert len(first["EndpointConfigs"]) == 10 and first["NextToken"]
    faults = account.stand.faults
    once = account.stand.client("sagemaker", config=NO_RETRIES)
    faults.set(throttle_percent=100, operations="DescribeModel")
    with pytest.raises(ClientError, match="ThrottlingException"):
        once.describe_model(ModelName="paged")
    assert once.list_endpoint_configs()["EndpointConfigs"]
    faults.clear()
    account.create("worn")
    account.settled("worn")
    faults.set(expire_after=2)
    once.describe_endpoint(EndpointName="worn")
    with pytest.raises(ClientError, match="ExpiredTokenException"):
        once.describe_endpoint(EndpointName="worn")
    faults.clear()
    with account.stand.maintenance("worn"), pytest.raises(ClientError, match="in-progress"):
        once.delete_endpoint(EndpointName="worn")
    once.delete_endpoint(EndpointName="worn")
