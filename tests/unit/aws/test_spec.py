"""The requests that make an endpoint: what SageMaker takes, and what it would refuse."""

from __future__ import annotations

import dataclasses
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from sageturner_magic.aws.endpoints.limits import disk_findings, offer_findings, service_model
from sageturner_magic.aws.endpoints.spec import (
    EndpointSpec,
    config_request,
    endpoint_request,
    model_request,
    update_request,
)
from sageturner_magic.config import Autoscaling, Network, Server, Serverless

MODEL = botocore.session.get_session().get_service_model("sagemaker")
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sageturner-sagemaker@sha256:" + "a" * 64
ROLE = "arn:aws:iam::123456789012:role/sageturner-role-sagemaker"
OWN = {"sageturner:created-by": "user/ann"}


SERVERLESS = Serverless(memory=2048, max_concurrency=5)


def spec(compute: Serverless | Server = SERVERLESS, **changes: Any) -> EndpointSpec:
    base = EndpointSpec("digits", IMAGE, ROLE, compute, "s3://b/artefacts/x/model.tar.gz", "d" * 64)
    return dataclasses.replace(base, **changes)


def valid(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """`request`, checked against botocore's own model of the service."""
    shape = MODEL.operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    return request


# Every key at once, which no reader takes: volumes are for types without disks of their own.
FULL = Server.model_construct(
    instance_type="ml.g5.xlarge",
    initial_instance_count=2,
    volume_gb=100,
    startup_timeout_s=1200,
    download_timeout_s=900,
    inference_ami_version="al2023-ami-sagemaker-inference-gpu-4-1",
    routing="LEAST_OUTSTANDING_REQUESTS",
    autoscaling=Autoscaling(min=1, max=4, invocations_per_instance=100),
)


def test_serverless_asks_for_provisioned_concurrency_only_when_it_is_wanted() -> None:
    request = valid("CreateEndpointConfig", config_request(spec(), OWN))
    (variant,) = request["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    request = valid(
        "CreateEndpointConfig",
        config_request(
            spec(Serverless(memory=1024, max_concurrency=5, provisioned_concurrency=2)), OWN
        ),
    )
    assert request["ProductionVariants"][0]["ServerlessConfig"]["ProvisionedConcurrency"] == 2


def test_every_key_of_a_server_reaches_the_variant() -> None:
    request = valid("CreateEndpointConfig", config_request(spec(FULL, kms_key="alias/k"), OWN))
    (variant,) = request["ProductionVariants"]
    name = spec(FULL, kms_key="alias/k").resource
    assert variant == {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": "ml.g5.xlarge",
        "InitialInstanceCount": 2,
        "InitialVariantWeight": 1.0,
        "VolumeSizeInGB": 100,
        "ContainerStartupHealthCheckTimeoutInSeconds": 1200,
        "ModelDataDownloadTimeoutInSeconds": 900,
        "InferenceAmiVersion": "al2023-ami-sagemaker-inference-gpu-4-1",
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    }
    assert request["KmsKeyId"] == "alias/k"


def test_what_is_left_out_is_left_to_sagemaker() -> None:
    (variant,) = config_request(spec(Server(instance_type="ml.m5.large")), OWN)[
        "ProductionVariants"
    ]
    assert set(variant) == {
        "VariantName",
        "ModelName",
        "InstanceType",
        "InitialInstanceCount",
        "InitialVariantWeight",
    }
    assert set(model_request(spec(artefact_uri=None), OWN)["PrimaryContainer"]) == {"Image"}


def test_network_and_environment_reach_the_model() -> None:
    network = Network(subnets=("subnet-1", "subnet-2"), security_groups=("sg-1",), isolation=True)
    request = valid(
        "CreateModel", model_request(spec(FULL, network=network, environment={"A": "1"}), OWN)
    )
    assert request["VpcConfig"] == {
        "SecurityGroupIds": ["sg-1"],
        "Subnets": ["subnet-1", "subnet-2"],
    }
    assert request["EnableNetworkIsolation"] is True
    assert request["PrimaryContainer"]["Environment"] == {"A": "1"}
    assert request["PrimaryContainer"]["Image"] == IMAGE


def test_an_archive_is_a_url_and_a_prefix_is_a_data_source() -> None:
    archive = valid("CreateModel", model_request(spec(), OWN))["PrimaryContainer"]
    assert archive["ModelDataUrl"] == "s3://b/artefacts/x/model.tar.gz"
    prefix = spec(FULL, artefact_uri="s3://b/artefacts/x/files/")
    container = valid("CreateModel", model_request(prefix, OWN))["PrimaryContainer"]
    assert container["ModelDataSource"]["S3DataSource"] == {
        "S3Uri": "s3://b/artefacts/x/files/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    assert "ModelDataUrl" not in container


def test_tags_mark_what_is_ours_and_carry_the_users() -> None:
    wanted = spec(tags={"team": "search", "sageturner:endpoint": "x"})
    request = valid("CreateEndpoint", endpoint_request(wanted, OWN))
    assert {tag["Key"]: tag["Value"] for tag in request["Tags"]} == {
        "team": "search",
        "sageturner:created-by": "user/ann",
        "sageturner:endpoint": "digits",
        "sageturner:version": wanted.version,
    }


def test_an_update_of_a_server_is_blue_green_and_serverless_takes_no_policy() -> None:
    request = valid("UpdateEndpoint", update_request("d", "d-1", FULL, keep_instances=True))
    policy = request["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"
    assert request["RetainAllVariantProperties"] is True
    request = update_request(
        "d", "d-1", Serverless(memory=1024, max_concurrency=1), keep_instances=False
    )
    assert valid("UpdateEndpoint", request) == {
        "EndpointName": "d",
        "EndpointConfigName": "d-1",
    }


class TestVersion:
    # What these were before the settings' types were the configuration's: an endpoint that is
    # deployed again unchanged must keep its version.
    @pytest.mark.parametrize(
        ("wanted", "version"),
        [
            (spec(), "0501aa680d20"),
            (
                spec(Serverless(memory=1024, max_concurrency=5, provisioned_concurrency=2)),
                "47a873def738",
            ),
            (spec(Server(instance_type="ml.m5.large")), "e62cdf341cae"),
            (
                spec(
                    FULL,
                    environment={"B": "2", "A": "1"},
                    network=Network(
                        subnets=("subnet-1", "subnet-2"), security_groups=("sg-1",), isolation=True
                    ),
                    kms_key="alias/k",
                    tags={"a": "b"},
                ),
                "64a37d4cb3ea",
            ),
        ],
    )
    def test_is_the_same_in_every_release(self, wanted: EndpointSpec, version: str) -> None:
        assert wanted.version == version

    def test_is_twelve_hex_digits_and_the_same_for_the_same(self) -> None:
        assert spec().version == spec().version
        assert len(spec().version) == 12 and int(spec().version, 16) >= 0
        assert spec().resource == f"digits-{spec().version}"

    @pytest.mark.parametrize(
        "change",
        [
            {"image": IMAGE.replace("aaa", "bbb")},
            {"artefact_uri": "s3://b/other"},
            {"artefact_digest": "e" * 64},
            {"role_arn": ROLE + "2"},
            {"environment": {"A": "1"}},
            {"network": Network(subnets=("subnet-1",), security_groups=("sg-1",))},
            {"kms_key": "k"},
            {"compute": Serverless(memory=3072, max_concurrency=5)},
            {"compute": Server(instance_type="ml.m5.large")},
        ],
    )
    def test_changes_with_everything_that_serves(self, change: dict[str, Any]) -> None:
        assert spec(**change).version != spec().version

    @pytest.mark.parametrize(
        "change",
        [{"tags": {"a": "b"}}, {"name": "other"}, {"image": IMAGE.replace("eu-west-1", "x")}],
    )
    def test_does_not_change_with_what_does_not(self, change: dict[str, Any]) -> None:
        assert spec(**change).version == spec().version

    def test_autoscaling_is_put_on_the_running_endpoint(self) -> None:
        plain = FULL.model_copy(update={"autoscaling": None})
        assert spec(plain).version == spec(FULL).version


class TestProblems:
    @pytest.mark.parametrize(
        "good",
        # An AMI that every supported botocore knows.
        [
            SERVERLESS,
            FULL.model_copy(
                update={
                    "inference_ami_version": "al2-ami-sagemaker-inference-gpu-2",
                    "volume_gb": None,
                }
            ),
        ],
    )
    def test_none_where_all_is_well(self, good: Serverless | Server) -> None:
        assert offer_findings(good) == ()

    @pytest.mark.parametrize(
        ("bad", "key", "do"),
        [
            (Server(instance_type="ml.g5.xlrage"), "instance_type", "ml.g5.xlarge"),
            (
                Server(instance_type="ml.m5.large", inference_ami_version="gpu-4"),
                "inference_ami_version",
                "al2",
            ),
        ],
    )
    def test_each_is_named_by_its_key_with_a_remedy(self, bad: Server, key: str, do: str) -> None:
        (finding,) = offer_findings(bad)
        assert finding.where == f"compute.server.{key}"
        assert do in finding.do
        assert finding.do.endswith("needs a newer boto3")

    def test_all_are_found_at_once(self) -> None:
        assert (
            len(offer_findings(Server(instance_type="ml.x.y", inference_ami_version="gpu-4"))) == 2
        )


@pytest.mark.parametrize(
    ("gigabytes", "severities"), [(2, []), (3, ["warning"]), (5, ["warning"]), (6, ["error"])]
)
def test_an_artefact_has_to_fit_onto_a_serverless_endpoints_disk(
    gigabytes: int, severities: list[str]
) -> None:
    found = disk_findings(Serverless(), gigabytes << 30)
    assert [each.severity for each in found] == severities
    assert disk_findings(Server(instance_type="ml.m5.large"), gigabytes << 30) == ()


def test_routing_has_the_values_that_botocore_has() -> None:
    known = service_model().shape_for("RoutingStrategy").enum  # type: ignore[attr-defined]
    for value in known:
        assert Server(instance_type="ml.m5.large", routing=value).routing == value
    schema = Server.model_json_schema()["properties"]["routing"]["anyOf"][0]["enum"]
    # An older botocore, which the lowest bounds install, knows fewer of them.
    assert set(schema) >= set(known)
