"""The requests that make an endpoint: what SageMaker takes, and what it would refuse."""

from __future__ import annotations

import dataclasses
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from sageturner_magic.aws.limits import (
    MEMORY_SIZES,
    inference_ami_versions,
    instance_types,
    problems,
    routing_strategies,
)
from sageturner_magic.aws.spec import (
    Autoscaling,
    EndpointSpec,
    Network,
    Server,
    Serverless,
    config_request,
    endpoint_request,
    model_request,
    update_request,
)

MODEL = botocore.session.get_session().get_service_model("sagemaker")
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sageturner-sagemaker@sha256:" + "a" * 64
ROLE = "arn:aws:iam::123456789012:role/sageturner-role-sagemaker"
OWN = {"sageturner:created-by": "user/ann"}


SERVERLESS = Serverless(2048, 5)


def spec(compute: Serverless | Server = SERVERLESS, **changes: Any) -> EndpointSpec:
    base = EndpointSpec("digits", IMAGE, ROLE, compute, "s3://b/artefacts/x/model.tar.gz", "d" * 64)
    return dataclasses.replace(base, **changes)


def valid(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """`request`, checked against botocore's own model of the service."""
    shape = MODEL.operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    return request


FULL = Server(
    "ml.g5.xlarge",
    initial_instance_count=2,
    volume_gb=100,
    startup_timeout_s=1200,
    download_timeout_s=900,
    inference_ami_version="al2023-ami-sagemaker-inference-gpu-4-1",
    routing="LEAST_OUTSTANDING_REQUESTS",
    autoscaling=Autoscaling(1, 4, 100),
)


def test_serverless_asks_for_provisioned_concurrency_only_when_it_is_wanted() -> None:
    request = valid("CreateEndpointConfig", config_request(spec(), OWN))
    (variant,) = request["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    request = valid("CreateEndpointConfig", config_request(spec(Serverless(1024, 5, 2)), OWN))
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
    (variant,) = config_request(spec(Server("ml.m5.large")), OWN)["ProductionVariants"]
    assert set(variant) == {
        "VariantName",
        "ModelName",
        "InstanceType",
        "InitialInstanceCount",
        "InitialVariantWeight",
    }
    assert set(model_request(spec(artefact_uri=None), OWN)["PrimaryContainer"]) == {"Image"}


def test_network_and_environment_reach_the_model() -> None:
    network = Network(("subnet-1", "subnet-2"), ("sg-1",), isolation=True)
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
    request = update_request("d", "d-1", Serverless(1024, 1), keep_instances=False)
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
            (spec(Serverless(1024, 5, 2)), "47a873def738"),
            (spec(Server("ml.m5.large")), "e62cdf341cae"),
            (
                spec(
                    FULL,
                    environment={"B": "2", "A": "1"},
                    network=Network(("subnet-1", "subnet-2"), ("sg-1",), isolation=True),
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
            {"network": Network(("s",), ("g",))},
            {"kms_key": "k"},
            {"compute": Serverless(3072, 5)},
            {"compute": Server("ml.m5.large")},
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
        plain = dataclasses.replace(FULL, autoscaling=None)
        assert spec(plain).version == spec(FULL).version


class TestProblems:
    @pytest.mark.parametrize("good", [spec(), spec(FULL), spec(Serverless(6144, 200, 200))])
    def test_none_where_all_is_well(self, good: EndpointSpec) -> None:
        assert problems(good) == ()

    @pytest.mark.parametrize(
        ("bad", "where", "do"),
        [
            (spec(name="Digits"), "name", "lower-case"),
            (spec(name="d" * 41), "name", "40"),
            (spec(name="-d"), "name", "each end"),
            (spec(Serverless(1500, 5)), "compute.serverless.memory", "1024, 2048"),
            (spec(Serverless(2048, 500)), "compute.serverless.max_concurrency", "1 to 200"),
            (spec(Serverless(2048, 0)), "compute.serverless.max_concurrency", "1 to 200"),
            (
                spec(Serverless(2048, 5, 6)),
                "compute.serverless.provisioned_concurrency",
                "leave it out",
            ),
            (spec(network=Network(("s",), ("g",))), "network", "-e server"),
            (spec(network=Network(isolation=True)), "network", "-e server"),
            (spec(artefact_uri="s3://b/p/"), "artefact", "model.tar.gz"),
            (spec(Server("ml.g5.xlrage")), "compute.server.instance_type", "ml.g5.xlarge"),
            (spec(Server("ml.m5.large", 0)), "compute.server.initial_instance_count", "1 or more"),
            (spec(Server("ml.m5.large", volume_gb=513)), "compute.server.volume_gb", "1 to 512"),
            (
                spec(Server("ml.m5.large", startup_timeout_s=59)),
                "compute.server.startup_timeout_s",
                "60 to 3600",
            ),
            (
                spec(Server("ml.m5.large", inference_ami_version="gpu-4")),
                "compute.server.inference_ami_version",
                "al2",
            ),
            (
                spec(Server("ml.m5.large", routing="LEAST")),
                "compute.server.routing",
                "LEAST_OUTSTANDING",
            ),
            (
                spec(Server("ml.m5.large", autoscaling=Autoscaling(3, 2, 10))),
                "compute.server.autoscaling",
                "no less",
            ),
            (spec(environment={"1A": "x"}), "environment", "digit"),
            (spec(environment={"A": "x" * 1025}), "environment", "1024"),
            (spec(environment={f"K{i}": "" for i in range(101)}), "environment", "100"),
            (spec(FULL, network=Network(("s",))), "network", "at least one of each"),
            (spec(tags={"a": "b?"}), "tags", "letters"),
            (spec(tags={"aws:x": "b"}), "tags", "another key"),
        ],
    )
    def test_each_is_named_by_its_key_with_a_remedy(
        self, bad: EndpointSpec, where: str, do: str
    ) -> None:
        (finding,) = problems(bad)
        assert finding.where == where
        assert do in finding.do

    def test_all_are_found_at_once(self) -> None:
        bad = spec(Serverless(1, 999), name="UP", environment={"-": ""})
        assert len(problems(bad)) == 4


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.builds(
            Serverless,
            st.sampled_from(MEMORY_SIZES),
            st.integers(-5, 300),
            st.none() | st.integers(-2, 300),
        ),
        st.builds(
            Server,
            st.sampled_from(instance_types()),
            st.integers(-2, 5),
            st.none() | st.integers(0, 600),
            st.none() | st.integers(0, 4000),
            st.none() | st.integers(0, 4000),
            st.none() | st.sampled_from(inference_ami_versions()),
            st.none() | st.sampled_from(routing_strategies()),
        ),
    )
)
def test_what_is_found_fine_is_within_the_limits_of_the_service_model(
    compute: Serverless | Server,
) -> None:
    wanted = spec(compute)
    request = config_request(wanted, OWN)
    if problems(wanted):
        return
    (variant,) = valid("CreateEndpointConfig", request)["ProductionVariants"]
    members = MODEL.shape_for("ProductionVariant").members
    inner = MODEL.shape_for("ProductionVariantServerlessConfig").members
    for key, value in {**variant, **variant.get("ServerlessConfig", {})}.items():
        limits = (members.get(key) or inner.get(key)).metadata
        if isinstance(value, int):
            assert limits.get("min", value) <= value <= limits.get("max", value), key
