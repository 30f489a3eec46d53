"""Describe an endpoint, and the requests to SageMaker that create and update it: no I/O."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sageturner_magic.aws.names import (
    TAG_ENDPOINT,
    TAG_LEASE,
    TAG_PROTECTED,
    TAG_VERSION,
    VARIANT,
    tag_list,
    versioned,
)
from sageturner_magic.config import Network, Server, Serverless


@dataclass(frozen=True)
class EndpointSpec:
    """Everything that an endpoint on SageMaker is made of.

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
        lease: How long a new endpoint stays, such as `8h`; empty without a lease. Its schedule
            exists already.
        protected: Whether `delete` and leases leave it alone; None leaves that as it is.
    """

    name: str
    image: str
    role_arn: str
    compute: Serverless | Server
    artefact_uri: str | None = None
    artefact_digest: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    network: Network = field(default_factory=Network)
    kms_key: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    lease: str = ""
    protected: bool | None = None

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
        "Tags": tag_list(all_tags(spec, tags) | endpoint_tags(spec)),
    }


def endpoint_tags(spec: EndpointSpec) -> dict[str, str]:
    """The tags that an endpoint has and its versions have not."""
    protected = {} if spec.protected is None else {TAG_PROTECTED: str(spec.protected).lower()}
    return protected | ({TAG_LEASE: spec.lease} if spec.lease else {})


def update_request(
    name: str, config: str, compute: Serverless | Server, *, keep_instances: bool
) -> dict[str, Any]:
    """UpdateEndpoint's request: blue/green, and back to the old fleet if the new one fails.

    Serverless takes no DeploymentConfig (it switches over by itself).

    Args:
        name: The endpoint.
        config: The endpoint config to serve.
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
        "compute": spec.compute.model_dump(exclude={"autoscaling"}),
        "kind": type(spec.compute).__name__,
        "environment": dict(spec.environment),
        "network": spec.network.model_dump(),
        "kms_key": spec.kms_key,
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
