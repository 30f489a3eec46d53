"""Find, list and delete the versions of endpoints.

A version of an endpoint is a model and an endpoint config that are both called
`<name>-<version>`. Deleting can be repeated: what is gone is not missed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sageturner_magic.aws.endpoints.endpoint import (
    NOT_FOUND,
    EndpointState,
    each_of,
    read_endpoint,
    serverless_of,
    tags_of,
)
from sageturner_magic.aws.errors import unless
from sageturner_magic.aws.freshness import once_seen
from sageturner_magic.aws.names import TAG_ENDPOINT, split_versioned, versioned
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.config import Server, Serverless
from sageturner_magic.errors import EndpointError


@dataclass(frozen=True)
class EndpointVersion:
    """A version of an endpoint; of one that was interrupted or half deleted, what there is.

    Attributes:
        name: The endpoint's.
        version: 12 hex digits.
        created: When its config (else its model) was made, seconds since 1970.
        image: As the model names it; empty without a model.
        artefact_uri: S3 address; empty without an artefact or a model.
        role_arn: The model's execution role; empty without a model.
        compute: What the config asks for; None without a config.
        tags: Of the config (else of the model).
    """

    name: str
    version: str
    created: float
    image: str
    artefact_uri: str
    role_arn: str
    compute: Serverless | Server | None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def resource(self) -> str:
        """What its model and its endpoint config are called."""
        return versioned(self.name, self.version)

    @property
    def servable(self) -> bool:
        """Whether both model and config are there."""
        return bool(self.image) and self.compute is not None


def list_versions(
    session: AwsSession, name: str | None = None, *, besides: Collection[str] = ()
) -> tuple[EndpointVersion, ...]:
    """Our versions of one endpoint or of all, newest first; also those of deleted endpoints.

    `besides` are endpoints whose versions are not read.

    Permissions: sagemaker:ListEndpointConfigs, sagemaker:ListModels; those of `find_version`.
    Raises AwsError.
    """
    only: Any = {"NameContains": f"{name}-"} if name else {}
    with session.call("list the versions", f"endpoint {name}" if name else "Amazon SageMaker"):
        configs = session.sagemaker.get_paginator("list_endpoint_configs").paginate(**only)
        models = session.sagemaker.get_paginator("list_models").paginate(**only)
        found = {c["EndpointConfigName"] for page in configs for c in page["EndpointConfigs"]}
        found |= {model["ModelName"] for page in models for model in page["Models"]}
        wanted = (
            resource
            for resource in found
            if (parts := split_versioned(resource))
            and name in (None, parts[0])
            and parts[0] not in besides
        )
        versions = each_of(lambda resource: _read_version(session, resource), sorted(wanted))
    return tuple(sorted(versions, key=lambda version: version.created, reverse=True))


def find_version(session: AwsSession, resource: str) -> EndpointVersion | None:
    """The version whose model and config are called `resource`; None if there is none of ours.

    Permissions: sagemaker:DescribeEndpointConfig, sagemaker:DescribeModel, sagemaker:ListTags.
    Raises AwsError.
    """
    with session.call("look up the version", resource):
        return _read_version(session, resource)


def running_on(session: AwsSession, endpoint: EndpointState) -> tuple[Serverless | Server, ...]:
    """What the variants of an endpoint run on now, whoever made its config.

    The config tells the instance type, DescribeEndpoint how many run. Empty where neither tells:
    the config may be gone.

    Permissions: sagemaker:DescribeEndpointConfig. Raises AwsError.
    """
    if not endpoint.config:
        return ()
    with session.call("look up the endpoint config", f"endpoint config {endpoint.config}"):
        config = unless(
            NOT_FOUND,
            lambda: session.sagemaker.describe_endpoint_config(EndpointConfigName=endpoint.config),
        )
    now = {variant.name: variant for variant in endpoint.variants}
    if config is None:
        return tuple(each.serverless for each in endpoint.variants if each.serverless)
    found: list[Serverless | Server] = []
    for variant in config["ProductionVariants"]:
        compute, present = _compute(variant), now.get(variant["VariantName"])
        if present and isinstance(compute, Server):
            compute = compute.model_copy(update={"initial_instance_count": present.instances[0]})
        found.append(present.serverless if present and present.serverless else compute)
    return tuple(found)


def delete_version(session: AwsSession, version: EndpointVersion) -> None:
    """Delete the config and the model of a version. Safe to repeat.

    Permissions: sagemaker:DescribeEndpoint, sagemaker:DeleteEndpointConfig,
    sagemaker:DeleteModel.

    Raises:
        EndpointError: The endpoint serves it, or will.
        AwsError: A call failed.
    """
    resource = version.resource
    with session.call("delete the version", resource):
        endpoint = read_endpoint(session, version.name)
        if resource in (endpoint.config, endpoint.pending):
            raise EndpointError(
                f"{version.name} still serves version {version.version}",
                where=f"endpoint {version.name}",
                do=f"deploy or roll back to another version, or `sageturner delete {version.name}`",
            )
        sagemaker = session.sagemaker
        unless(NOT_FOUND, lambda: sagemaker.delete_endpoint_config(EndpointConfigName=resource))
        unless(NOT_FOUND, lambda: sagemaker.delete_model(ModelName=resource))


def _read_version(session: AwsSession, resource: str) -> EndpointVersion | None:
    parts = split_versioned(resource)
    sagemaker = session.sagemaker
    config = unless(
        NOT_FOUND, lambda: sagemaker.describe_endpoint_config(EndpointConfigName=resource)
    )
    model = unless(NOT_FOUND, lambda: sagemaker.describe_model(ModelName=resource))
    if parts is None or not (config or model):
        return None
    arn = config["EndpointConfigArn"] if config else model["ModelArn"] if model else ""
    made = config or model
    created = made["CreationTime"].timestamp() if made else 0.0
    tags = once_seen(
        lambda: unless(NOT_FOUND, lambda: tags_of(session, arn)),
        lambda tags: tags is None or TAG_ENDPOINT in tags,
        lambda: created,
    )
    if tags is None or TAG_ENDPOINT not in tags:
        return None
    container: Any = model.get("PrimaryContainer", {}) if model else {}
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    return EndpointVersion(
        name=parts[0],
        version=parts[1],
        created=created,
        image=container.get("Image", ""),
        artefact_uri=container.get("ModelDataUrl") or source.get("S3Uri", ""),
        role_arn=model.get("ExecutionRoleArn", "") if model else "",
        compute=_compute(config["ProductionVariants"][0]) if config else None,
        tags=tags,
    )


def _compute(variant: Mapping[str, Any]) -> Serverless | Server:
    if serverless := variant.get("ServerlessConfig"):
        return serverless_of(serverless)
    return Server.model_construct(
        instance_type=variant.get("InstanceType", ""),
        initial_instance_count=variant.get("InitialInstanceCount", 1),
        volume_gb=variant.get("VolumeSizeInGB"),
        startup_timeout_s=variant.get("ContainerStartupHealthCheckTimeoutInSeconds"),
        download_timeout_s=variant.get("ModelDataDownloadTimeoutInSeconds"),
        inference_ami_version=variant.get("InferenceAmiVersion"),
        routing=variant.get("RoutingConfig", {}).get("RoutingStrategy"),
    )
