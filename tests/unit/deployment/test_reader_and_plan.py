"""What the configuration takes, the plan takes too, and so does SageMaker's own service model."""

from __future__ import annotations

import re
from typing import Any

import yaml
from botocore.model import Shape
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sageturner_magic.aws.endpoints.limits import (
    inference_ami_versions,
    instance_types,
    offer_findings,
    service_model,
)
from sageturner_magic.aws.endpoints.spec import config_request, endpoint_request, model_request
from sageturner_magic.aws.names import TAG_CREATED_AT, TAG_CREATED_BY, TAG_PREVIOUS, TAG_SECONDS
from sageturner_magic.config import SERVERLESS_MEMORY
from sageturner_magic.config.rules import MOST_TAGS
from sageturner_magic.deployment.plans.sagemaker_steps import make_endpoint_spec
from sageturner_magic.errors import ConfigError
from tests.unit.config.helpers import read

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sageturner-sagemaker@sha256:" + "a" * 64
ROLE = "arn:aws:iam::123456789012:role/sageturner-role-sagemaker"
OWN = {TAG_CREATED_BY: "user/ann", TAG_CREATED_AT: "2026-01-01T00:00:00Z"}
LATER = {TAG_PREVIOUS: "0123456789ab", TAG_SECONDS: "60"}


def optional(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


@st.composite
def serverless(draw: st.DrawFn) -> dict[str, Any]:
    most = draw(st.integers(1, 200))
    return draw(
        st.fixed_dictionaries(
            {"memory": st.sampled_from(SERVERLESS_MEMORY), "max_concurrency": st.just(most)},
            optional={"provisioned_concurrency": st.integers(1, most)},
        )
    )


@st.composite
def autoscaling(draw: st.DrawFn) -> dict[str, int]:
    least = draw(st.integers(1, 100))
    per_instance = draw(st.integers(1, 10**6))
    most = draw(st.integers(least, 1000))
    return {"min": least, "max": most, "invocations_per_instance": per_instance}


server = st.fixed_dictionaries(
    {"instance_type": st.sampled_from(instance_types())},
    optional={
        "initial_instance_count": st.integers(1, 1000),
        "volume_gb": st.integers(1, 512),
        "startup_timeout_s": st.integers(60, 3600),
        "download_timeout_s": st.integers(60, 3600),
        "inference_ami_version": st.sampled_from(inference_ami_versions()),
        "routing": st.sampled_from(["LEAST_OUTSTANDING_REQUESTS", "random"]),
        "autoscaling": autoscaling(),
    },
)
ids = st.text("0123456789abcdef", min_size=1, max_size=25)
network = st.fixed_dictionaries(
    {
        "subnets": st.lists(ids.map("subnet-{}".format), min_size=1, max_size=16),
        "security_groups": st.lists(ids.map("sg-{}".format), min_size=1, max_size=5),
    },
    optional={"isolation": st.booleans()},
) | optional(isolation=st.booleans())
serving = optional(
    workers=st.integers(1, 64),
    queue=st.integers(1, 10**6),
    timeout_s=st.integers(1, 60),
    nan=st.sampled_from(["error", "null"]),
    batch=optional(max_size=st.integers(1, 100), max_wait_ms=st.integers(0, 10_000)),
)
written = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co", "Zl", "Zp"])


@st.composite
def environment(draw: st.DrawFn) -> dict[str, str]:
    # What counts is the bounds: of the variables' number, of their bytes, of one value.
    number, value = draw(
        st.tuples(st.sampled_from([1, 99, 100]), st.text(written, max_size=20) | st.just("x" * 320))
        | st.just((1, "x" * 1024))
    )
    return {f"KEY_{index}": value for index in range(number)}


@st.composite
def tags(draw: st.DrawFn) -> dict[str, str]:
    key = draw(st.text(written, max_size=10) | st.sampled_from(["team", "AWS:", "Sageturner:"]))
    value = draw(st.text(written, max_size=20) | st.sampled_from(["", "x" * 256]))
    number = draw(st.sampled_from([1, MOST_TAGS, MOST_TAGS + 1]))
    return {f"{key}{index}": value for index in range(number)}


configurations = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"\A[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?\Z"),
        "compute": st.fixed_dictionaries({"serverless": serverless(), "server": server}),
    },
    optional={
        "artefact": st.sampled_from(["s3://my-bucket/model.tar.gz", "s3://my-bucket/model/"]),
        "serving": serving,
        "network": network,
        "kms_key": st.sampled_from(["alias/my-key", "1234abcd-12ab", "arn:aws:kms:x:1:key/a"]),
        "environment": environment(),
        "tags": tags(),
    },
)


FULL = {
    "name": "digits",
    "compute": {"serverless": None, "server": {"instance_type": "ml.m5.xlarge"}},
    "serving": {"workers": 2},
    "tags": {f"key{index}": "value" for index in range(MOST_TAGS)},
}


def test_the_examples_at_the_limits_are_taken():
    assert read(yaml.safe_dump(FULL)).check("server", "generate") == []


@example(
    {**FULL, "environment": {f"KEY_{index}": "x" for index in range(99)}}, "server", "generate"
)
@example(
    {**FULL, "environment": {f"KEY_{index}": "x" for index in range(100)}}, "server", "generate"
)
@example(
    {**FULL, "environment": {f"KEY_{index}": "x" * 321 for index in range(99)}},
    "serverless",
    "generate",
)
@given(
    configurations,
    st.sampled_from(["serverless", "server"]),
    st.sampled_from(["generate", "provide"]),
)
def test_what_the_reader_takes_the_plan_takes(written, endpoint_type, container_mode):
    try:
        config = read(yaml.safe_dump(written, allow_unicode=True))
    except ConfigError:
        assume(False)
    assume(config.check(endpoint_type, container_mode) == [])
    compute = config.compute.of(endpoint_type)
    assert offer_findings(compute) == ()
    spec = make_endpoint_spec(
        config,
        IMAGE,
        ROLE,
        compute,
        config.s3_artefact,
        "",
        config.container_environment(container_mode),
    )
    assert spec.environment.items() >= config.environment.items()
    endpoint = endpoint_request(spec, OWN)
    endpoint["Tags"] += [{"Key": key, "Value": value} for key, value in LATER.items()]
    for operation, request in (
        ("CreateModel", model_request(spec, OWN)),
        ("CreateEndpointConfig", config_request(spec, OWN)),
        ("CreateEndpoint", endpoint),
    ):
        taken(request, service_model().operation_model(operation).input_shape, operation)
    variables = model_request(spec, OWN)["PrimaryContainer"].get("Environment", {})
    assert sum(len(f"{key}{value}".encode()) for key, value in variables.items()) <= 32 * 1024


def taken(value: Any, shape: Shape, where: str) -> None:
    """Assert that `value` is within the limits and patterns that the service model has for it."""
    limits = shape.metadata
    size = value if isinstance(value, (int, float)) else len(value)
    assert limits.get("min", size) <= size <= limits.get("max", size), where
    if shape.type_name == "structure":
        for key, inner in value.items():
            taken(inner, shape.members[key], f"{where}.{key}")
    elif shape.type_name == "list":
        for inner in value:
            taken(inner, shape.member, f"{where}[]")
    elif shape.type_name == "map":
        for key, inner in value.items():
            taken(key, shape.key, f"{where} (key)")
            taken(inner, shape.value, f"{where}.{key}")
    elif shape.type_name == "string":
        # Python has no classes of Unicode's: \w is letters, numbers and the underscore.
        pattern = limits.get("pattern", "(?s:.*)").replace(r"\p{L}\p{Z}\p{N}", r"\w \xa0")
        assert re.fullmatch(pattern, value), f"{where}: {value!r}"
        assert value in (getattr(shape, "enum", None) or [value]), where
