"""What an endpoint shall be, and the requests that make it so: no I/O in here.

Limits are SageMaker's; enums and patterns come from botocore's service model at run time, so
that a new instance type needs an update of boto3 and none of this package.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sageturner_magic.aws.names import (
    TAG_ENDPOINT,
    TAG_VERSION,
    VARIANT,
    tag_list,
    tag_value,
    versioned,
)
from sageturner_magic.errors import Finding

if TYPE_CHECKING:
    from botocore.model import ServiceModel

MEMORY_SIZES = (1024, 2048, 3072, 4096, 5120, 6144)
"""Megabytes that a serverless endpoint may have (API reference, ServerlessConfig)."""

SERVERLESS_IMAGE_BYTES = 10_737_418_240
"""The largest image that serverless takes (SageMaker's own error message)."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_ENVIRONMENT_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,1023}")


@dataclass(frozen=True)
class Serverless:
    """`compute.serverless`. Memory in MB; provisioned concurrency only where asked for."""

    memory: int
    max_concurrency: int
    provisioned_concurrency: int | None = None


@dataclass(frozen=True)
class Autoscaling:
    """`compute.server.autoscaling`: instances from `min` to `max`, by load on each."""

    min: int
    max: int
    invocations_per_instance: float


@dataclass(frozen=True)
class Server:
    """`compute.server`. Timeouts in seconds; None leaves SageMaker's default."""

    instance_type: str
    initial_instance_count: int = 1
    volume_gb: int | None = None
    startup_timeout_s: int | None = None
    download_timeout_s: int | None = None
    inference_ami_version: str | None = None
    routing: str | None = None
    autoscaling: Autoscaling | None = None


@dataclass(frozen=True)
class Network:
    """`network`: the VPC that the containers are in, and whether they may reach anything."""

    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    isolation: bool = False


@dataclass(frozen=True)
class EndpointSpec:
    """An endpoint as it shall be.

    Attributes:
        name: The endpoint's.
        image: `repository@sha256:…`.
        role_arn: The execution role.
        compute: Serverless or server.
        artefact_uri: `s3://…/model.tar.gz`, or a prefix that ends in `/` (uncompressed); None for
            a model without an artefact.
        artefact_digest: Of its content, where it is known.
        environment: Of the container.
        network: VPC and isolation.
        kms_key: Encrypts the instances' volumes.
        tags: The user's own.
    """

    name: str
    image: str
    role_arn: str
    compute: Serverless | Server
    artefact_uri: str | None = None
    artefact_digest: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    network: Network = Network()
    kms_key: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """12 hex digits over image, artefact and settings: the same content, the same version."""
        return _version(self)

    @property
    def resource(self) -> str:
        """What the model and the endpoint config of this version are called."""
        return versioned(self.name, self.version)

    @property
    def instance_type(self) -> str:
        """Empty for serverless."""
        return self.compute.instance_type if isinstance(self.compute, Server) else ""


def instance_types() -> tuple[str, ...]:
    """The instance types for endpoints that this botocore knows."""
    return _enum("ProductionVariantInstanceType")


def inference_ami_versions() -> tuple[str, ...]:
    """The InferenceAmiVersions that this botocore knows."""
    return _enum("ProductionVariantInferenceAmiVersion")


def routing_strategies() -> tuple[str, ...]:
    """The RoutingStrategies that this botocore knows."""
    return _enum("RoutingStrategy")


def model_request(spec: EndpointSpec, tags: Mapping[str, str]) -> dict[str, Any]:
    """CreateModel's request. `tags` are ours; the endpoint's and the user's are added."""
    container: dict[str, Any] = {"Image": spec.image}
    if spec.environment:
        container["Environment"] = dict(spec.environment)
    if spec.artefact_uri and spec.artefact_uri.endswith("/"):
        container["ModelDataSource"] = {
            "S3DataSource": {
                "S3Uri": spec.artefact_uri,
                "S3DataType": "S3Prefix",
                "CompressionType": "None",
            }
        }
    elif spec.artefact_uri:
        container["ModelDataUrl"] = spec.artefact_uri
    request: dict[str, Any] = {
        "ModelName": spec.resource,
        "PrimaryContainer": container,
        "ExecutionRoleArn": spec.role_arn,
        "Tags": tag_list(all_tags(spec, tags)),
    }
    if spec.network.subnets:
        request["VpcConfig"] = {
            "SecurityGroupIds": list(spec.network.security_groups),
            "Subnets": list(spec.network.subnets),
        }
    if spec.network.isolation:
        request["EnableNetworkIsolation"] = True
    return request


def config_request(spec: EndpointSpec, tags: Mapping[str, str]) -> dict[str, Any]:
    """CreateEndpointConfig's request. `tags` as for `model_request`."""
    request: dict[str, Any] = {
        "EndpointConfigName": spec.resource,
        "ProductionVariants": [
            {"VariantName": VARIANT, "ModelName": spec.resource, **_compute(spec.compute)}
        ],
        "Tags": tag_list(all_tags(spec, tags)),
    }
    if spec.kms_key:
        request["KmsKeyId"] = spec.kms_key
    return request


def endpoint_request(spec: EndpointSpec, tags: Mapping[str, str]) -> dict[str, Any]:
    """CreateEndpoint's request. `tags` as for `model_request`."""
    return {
        "EndpointName": spec.name,
        "EndpointConfigName": spec.resource,
        "Tags": tag_list(all_tags(spec, tags)),
    }


def update_request(
    name: str, config: str, compute: Serverless | Server, *, keep_instances: bool
) -> dict[str, Any]:
    """UpdateEndpoint's request: blue/green, and back to the old fleet if the new one fails.

    Serverless takes no DeploymentConfig (it switches over by itself).

    Args:
        name: The endpoint.
        config: The endpoint config that it shall serve.
        compute: What that config asks for.
        keep_instances: Whether autoscaling decides the number of instances.
    """
    request: dict[str, Any] = {"EndpointName": name, "EndpointConfigName": config}
    if isinstance(compute, Server):
        request["DeploymentConfig"] = {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
                "TerminationWaitInSeconds": 0,
            }
        }
        if keep_instances:
            request["RetainAllVariantProperties"] = True
    return request


def all_tags(spec: EndpointSpec, own: Mapping[str, str]) -> dict[str, str]:
    """The user's tags and ours, ours winning."""
    return {**spec.tags, **own, TAG_ENDPOINT: spec.name, TAG_VERSION: spec.version}


def problems(spec: EndpointSpec) -> tuple[Finding, ...]:
    """Everything in `spec` that SageMaker would refuse, in the words of the configuration.

    botocore lets most of it through: it checks minimums only.
    """
    found: list[Finding] = []

    def check(ok: object, what: str, where: str, do: str, why: str = "") -> None:
        if not ok:
            found.append(Finding(what, why=why, do=do, where=where))

    check(
        _NAME.fullmatch(spec.name),
        f"{spec.name!r} cannot be an endpoint's name",
        "name",
        "use up to 40 lower-case letters, digits and hyphens, a letter or digit at each end",
    )
    if isinstance(spec.compute, Serverless):
        _check_serverless(spec, spec.compute, check)
    else:
        _check_server(spec.compute, check)
    environment = sum(len(k.encode()) + len(v.encode()) for k, v in spec.environment.items())
    check(
        len(spec.environment) <= 100 and environment <= 32 * 1024,
        f"{len(spec.environment)} variables of {environment} bytes in all are too many",
        "environment",
        "keep to 100 variables and 32 KB, and put more into a file of the artefact",
    )
    for key, value in spec.environment.items():
        check(
            _ENVIRONMENT_KEY.fullmatch(key),
            f"{key!r} is not a name for an environment variable",
            "environment",
            "use letters, digits and _, not beginning with a digit",
        )
        check(
            len(value) <= 1024,
            f"The value of {key} has {len(value)} characters",
            "environment",
            "keep to 1024",
        )
    network = spec.network
    check(
        bool(network.subnets) == bool(network.security_groups),
        "Subnets and security groups go together",
        "network",
        "name at least one of each, or none",
    )
    check(len(network.subnets) <= 16, "More than 16 subnets", "network.subnets", "name fewer")
    check(
        len(network.security_groups) <= 5,
        "More than 5 security groups",
        "network.security_groups",
        "name fewer",
    )
    # Beside the five or six of our own.
    check(len(spec.tags) <= 43, "More than 43 tags", "tags", "use fewer: AWS takes 50 in all")
    for key, value in spec.tags.items():
        check(
            tag_value(value) == value and key and tag_value(key)[:128] == key,
            f"{key}: {value} cannot be a tag",
            "tags",
            "use letters, digits, spaces and _ . : / = + - @; 128 characters for the key and 256 "
            "for the value",
        )
        check(
            not key.lower().startswith(("aws:", "sageturner:")),
            f"The tag {key} is reserved",
            "tags",
            "choose another key",
        )
    return tuple(found)


def _check_serverless(spec: EndpointSpec, compute: Serverless, check: Any) -> None:
    where = "compute.serverless"
    sizes = ", ".join(map(str, MEMORY_SIZES))
    check(
        compute.memory in MEMORY_SIZES,
        f"Serverless has no {compute.memory} MB",
        f"{where}.memory",
        f"choose one of {sizes}",
    )
    check(
        1 <= compute.max_concurrency <= 200,
        f"A concurrency of {compute.max_concurrency} is not possible",
        f"{where}.max_concurrency",
        "choose 1 to 200",
    )
    provisioned = compute.provisioned_concurrency
    check(
        provisioned is None or 1 <= provisioned <= compute.max_concurrency,
        f"{provisioned} provisioned of {compute.max_concurrency} concurrent requests is not "
        "possible",
        f"{where}.provisioned_concurrency",
        "choose 1 to max_concurrency, or leave it out: it is billed around the clock",
    )
    check(
        spec.network == Network(),
        "Serverless endpoints have no VPC and no network isolation",
        "network",
        "leave `network` out, or deploy with `-e server`",
    )
    check(
        not (spec.artefact_uri or "").endswith("/"),
        "Serverless endpoints take an archive only",
        "artefact",
        "name a model.tar.gz instead of a prefix, or deploy with `-e server`",
    )


def _check_server(compute: Server, check: Any) -> None:
    where = "compute.server"
    check(
        compute.instance_type in instance_types(),
        f"{compute.instance_type!r} is no instance type for endpoints",
        f"{where}.instance_type",
        _near(compute.instance_type, instance_types()) + "; a newer type needs a newer boto3",
    )
    check(
        compute.initial_instance_count >= 1,
        f"{compute.initial_instance_count} instances cannot serve",
        f"{where}.initial_instance_count",
        "choose 1 or more",
    )
    for key, value, least, most in (
        ("volume_gb", compute.volume_gb, 1, 512),
        ("startup_timeout_s", compute.startup_timeout_s, 60, 3600),
        ("download_timeout_s", compute.download_timeout_s, 60, 3600),
    ):
        check(
            value is None or least <= value <= most,
            f"{value} is out of range",
            f"{where}.{key}",
            f"choose {least} to {most}",
        )
    for key, text, known in (
        ("inference_ami_version", compute.inference_ami_version, inference_ami_versions()),
        ("routing", compute.routing, routing_strategies()),
    ):
        check(
            text is None or text in known,
            f"{text!r} does not exist",
            f"{where}.{key}",
            _near(text or "", known),
        )
    if scaling := compute.autoscaling:
        check(
            0 < scaling.min <= scaling.max,
            f"From {scaling.min} to {scaling.max} instances is not a range",
            f"{where}.autoscaling",
            "let min be 1 or more, and max no less",
        )
        check(
            scaling.invocations_per_instance > 0,
            f"{scaling.invocations_per_instance} invocations are no target",
            f"{where}.autoscaling.invocations_per_instance",
            "give the invocations a minute that one instance handles well",
        )


def _compute(compute: Serverless | Server) -> dict[str, Any]:
    if isinstance(compute, Serverless):
        serverless = {"MemorySizeInMB": compute.memory, "MaxConcurrency": compute.max_concurrency}
        if compute.provisioned_concurrency:
            serverless["ProvisionedConcurrency"] = compute.provisioned_concurrency
        return {"ServerlessConfig": serverless}
    settings = {
        "InstanceType": compute.instance_type,
        "InitialInstanceCount": compute.initial_instance_count,
        "InitialVariantWeight": 1.0,
        "VolumeSizeInGB": compute.volume_gb,
        "ContainerStartupHealthCheckTimeoutInSeconds": compute.startup_timeout_s,
        "ModelDataDownloadTimeoutInSeconds": compute.download_timeout_s,
        "InferenceAmiVersion": compute.inference_ami_version,
        "RoutingConfig": {"RoutingStrategy": compute.routing} if compute.routing else None,
    }
    return {key: value for key, value in settings.items() if value is not None}


def _version(spec: EndpointSpec) -> str:
    settings = {
        "image": spec.image.partition("@")[2] or spec.image,
        "artefact": [spec.artefact_uri, spec.artefact_digest],
        "role": spec.role_arn,
        # Autoscaling is put on the running endpoint, so it is no part of what serves.
        "compute": {k: v for k, v in asdict(spec.compute).items() if k != "autoscaling"},
        "kind": type(spec.compute).__name__,
        "environment": dict(spec.environment),
        "network": asdict(spec.network),
        "kms_key": spec.kms_key,
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def _near(value: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(value, known, n=3)
    if near:
        return f"did you mean {' or '.join(near)}"
    return f"choose one of {', '.join(known[:8])}{' …' if len(known) > 8 else ''}"


def _enum(shape: str) -> tuple[str, ...]:
    return tuple(_model().shape_for(shape).enum)  # type: ignore[attr-defined]


@lru_cache(maxsize=1)
def _model() -> ServiceModel:
    import botocore.session

    return botocore.session.get_session().get_service_model("sagemaker")
