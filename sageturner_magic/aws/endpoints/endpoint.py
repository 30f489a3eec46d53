"""Describe, list and delete SageMaker endpoints and their versions.

A version of an endpoint is a model and an endpoint config that are both called
`<name>-<version>`. Deleting can be repeated: what is gone is not missed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sageturner_magic.aws.endpoints import autoscaling, logs
from sageturner_magic.aws.errors import is_aws, message, unless
from sageturner_magic.aws.names import (
    TAG_CREATED_BY,
    TAG_ENDPOINT,
    TAG_SECONDS,
    split_versioned,
    tag_map,
    versioned,
)
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.config import Server, Serverless
from sageturner_magic.errors import EndpointError

T = TypeVar("T")
R = TypeVar("R")

GONE = "Deleted"
"""Our own word for the status of an endpoint that is no more."""

NOT_FOUND = r"could not find|^ResourceNotFound"
_SETTLED = frozenset({"InService", "Failed", "OutOfService", "UpdateRollbackFailed", GONE})
_READERS = 8


@dataclass(frozen=True)
class EndpointState:
    """An endpoint as SageMaker describes it.

    Attributes:
        name: Its name.
        arn: Its ARN.
        status: EndpointStatus, or `GONE`.
        config: The name of the endpoint config that serves.
        pending: The name of the config that an update under way brings; else empty.
        variant_status: What the variant is at (`Creating`, `ActivatingTraffic`, `Baking` …);
            empty when nothing is pending.
        failure_reason: Of the last creation or update, if it failed; else empty.
        created: Seconds since 1970.
        modified: Seconds since 1970.
        instances: (present, wanted); (0, 0) for serverless.
        tags: All tags; empty in what `watch` yields.
    """

    name: str
    arn: str = ""
    status: str = GONE
    config: str = ""
    pending: str = ""
    variant_status: str = ""
    failure_reason: str = ""
    created: float = 0.0
    modified: float = 0.0
    instances: tuple[int, int] = (0, 0)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether nothing is going on, so that it may be updated or deleted."""
        return self.status in _SETTLED

    @property
    def changing(self) -> bool:
        """Whether another change is under way, which SageMaker lets end first."""
        return not self.settled and self.status != "Deleting"

    @property
    def ours(self) -> bool:
        return TAG_CREATED_BY in self.tags

    @property
    def took_s(self) -> float | None:
        """How many seconds the deployment of what serves took, where a tag says so."""
        try:
            return float(self.tags[TAG_SECONDS])
        except (KeyError, ValueError):
            return None

    @property
    def heads_for(self) -> str:
        """The config that serves, or will when the update under way is through."""
        return self.pending or self.config

    @property
    def version(self) -> str:
        """The version that serves; empty for an endpoint that is not ours."""
        parts = split_versioned(self.config)
        return parts[1] if parts and parts[0] == self.name else ""


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


def find_endpoint(session: AwsSession, name: str) -> EndpointState | None:
    """An endpoint with its tags, ours or not; None if there is none of that name.

    Permissions: sagemaker:DescribeEndpoint, sagemaker:ListTags. Raises AwsError.
    """
    with session.call("describe the endpoint", f"endpoint {name}", resource=_arn(session, name)):
        endpoint = read_endpoint(session, name)
        if endpoint.status == GONE:
            return None
        return replace(endpoint, tags=_tags(session, endpoint.arn))


def our_endpoint(session: AwsSession, name: str) -> EndpointState:
    """An endpoint that sageturner made.

    Permissions: as `find_endpoint`.

    Raises:
        EndpointError: There is none of that name, or somebody else made it.
        AwsError: A call failed.
    """
    endpoint = find_endpoint(session, name)
    if endpoint is None:
        raise EndpointError(
            f"There is no endpoint {name} in {session.region}",
            do="see `sageturner list` for those that exist, and check `--region` and `--profile`",
        )
    return ours(endpoint)


def list_endpoints(session: AwsSession) -> tuple[EndpointState, ...]:
    """All endpoints in the region that carry our tags, by name.

    Reads the tags of each endpoint of the account: the tagging service would answer in one call,
    but late, and clean-up relies on what is listed.

    Permissions: sagemaker:ListEndpoints, sagemaker:ListTags, sagemaker:DescribeEndpoint.
    Raises AwsError.
    """
    with session.call("list the endpoints", "Amazon SageMaker"):
        pages = session.sagemaker.get_paginator("list_endpoints").paginate()
        arns = {e["EndpointName"]: e["EndpointArn"] for page in pages for e in page["Endpoints"]}

        def read(name: str) -> EndpointState | None:
            tags = unless(NOT_FOUND, lambda: _tags(session, arns[name])) or {}
            if TAG_CREATED_BY not in tags:
                return None
            endpoint = read_endpoint(session, name)
            return None if endpoint.status == GONE else replace(endpoint, tags=tags)

        return _each(read, sorted(arns))


def list_versions(session: AwsSession, name: str | None = None) -> tuple[EndpointVersion, ...]:
    """Our versions of one endpoint or of all, newest first; also those of deleted endpoints.

    Permissions: sagemaker:ListEndpointConfigs, sagemaker:ListModels; those of `find_version`.
    Raises AwsError.
    """
    only: Any = {"NameContains": f"{name}-"} if name else {}
    with session.call("list the versions", f"endpoint {name}" if name else "Amazon SageMaker"):
        configs = session.sagemaker.get_paginator("list_endpoint_configs").paginate(**only)
        models = session.sagemaker.get_paginator("list_models").paginate(**only)
        found = {c["EndpointConfigName"] for page in configs for c in page["EndpointConfigs"]}
        found |= {model["ModelName"] for page in models for model in page["Models"]}
        wanted = (r for r in found if (parts := split_versioned(r)) and name in (None, parts[0]))
        versions = _each(lambda resource: _read_version(session, resource), sorted(wanted))
    return tuple(sorted(versions, key=lambda version: version.created, reverse=True))


def find_version(session: AwsSession, resource: str) -> EndpointVersion | None:
    """The version whose model and config are called `resource`; None if there is none of ours.

    Permissions: sagemaker:DescribeEndpointConfig, sagemaker:DescribeModel, sagemaker:ListTags.
    Raises AwsError.
    """
    with session.call("look up the version", resource):
        return _read_version(session, resource)


def delete_endpoint(session: AwsSession, name: str) -> EndpointState | None:
    """Have SageMaker delete an endpoint of ours, after taking its autoscaling off.

    Its versions stay. Returns when SageMaker has taken the order.

    Permissions: those of `find_endpoint`, `autoscaling.remove` and `logs.claim_group`,
    sagemaker:DeleteEndpoint.

    Returns:
        The endpoint as it was; None if there is none.

    Raises:
        EndpointError: It is not ours, or is being created or updated.
        AwsError: A call failed.
    """
    endpoint = find_endpoint(session, name)
    if endpoint and ours(endpoint).status != "Deleting" and not endpoint.settled:
        raise busy(endpoint)
    autoscaling.remove(session, name)
    if endpoint:
        logs.claim_group(session, name)
    if endpoint is None or endpoint.status == "Deleting":
        return endpoint
    with session.call("delete the endpoint", f"endpoint {name}", resource=endpoint.arn):
        try:
            unless(NOT_FOUND, lambda: session.sagemaker.delete_endpoint(EndpointName=name))
        except Exception as error:
            if is_aws(error) and "in-progress" in message(error).lower():
                raise busy(endpoint) from error
            raise
    return endpoint


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


def ours(endpoint: EndpointState) -> EndpointState:
    """`endpoint` (with its tags), if sageturner made it. Raises EndpointError otherwise."""
    if endpoint.ours:
        return endpoint
    raise EndpointError(
        f"The endpoint {endpoint.name} was not made by sageturner",
        where="name",
        why=f"it has no tag {TAG_CREATED_BY}",
        do="choose another `name`",
    )


def busy(endpoint: EndpointState) -> EndpointError:
    """The error of wanting something of an endpoint that is on its way somewhere."""
    doing = {"Creating": "created", "Deleting": "deleted", "RollingBack": "rolled back"}
    ordered, since = split_versioned(endpoint.heads_for), time.localtime(endpoint.modified)
    others = ""
    if ordered and endpoint.changing:
        others = (
            f"version {ordered[1]} is on its way since {time.strftime('%H:%M:%S', since)}, and "
        )
    return EndpointError(
        f"{endpoint.name} is being {doing.get(endpoint.status, 'updated')}",
        where=f"endpoint {endpoint.name}",
        why=f"{others}SageMaker refuses every other change while an endpoint is {endpoint.status}",
        do=f"wait until `sageturner status {endpoint.name}` shows it settled, and run the command "
        "again",
    )


def read_endpoint(session: AwsSession, name: str) -> EndpointState:
    """An endpoint without its tags; one with the status `GONE` if there is none.

    Permissions: sagemaker:DescribeEndpoint. Raises botocore's errors.
    """
    answer = unless(NOT_FOUND, lambda: session.sagemaker.describe_endpoint(EndpointName=name))
    if answer is None:
        return EndpointState(name)
    pending = answer.get("PendingDeploymentSummary")
    variants: list[Any] = list(answer.get("ProductionVariants", []))
    at: list[Any] = [
        status
        for variant in [*(pending.get("ProductionVariants", []) if pending else []), *variants]
        for status in variant.get("VariantStatus", [])
    ]
    return EndpointState(
        name=name,
        arn=answer["EndpointArn"],
        status=answer["EndpointStatus"],
        config=answer.get("EndpointConfigName", ""),
        pending=pending["EndpointConfigName"] if pending else "",
        variant_status=at[0]["Status"] if at else "",
        failure_reason=answer.get("FailureReason", ""),
        created=answer["CreationTime"].timestamp(),
        modified=answer["LastModifiedTime"].timestamp(),
        instances=(
            sum(variant.get("CurrentInstanceCount", 0) for variant in variants),
            sum(variant.get("DesiredInstanceCount", 0) for variant in variants),
        ),
    )


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
    tags = unless(NOT_FOUND, lambda: _tags(session, arn)) or {}
    if TAG_ENDPOINT not in tags:
        return None
    container: Any = model.get("PrimaryContainer", {}) if model else {}
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    made = config or model
    return EndpointVersion(
        name=parts[0],
        version=parts[1],
        created=made["CreationTime"].timestamp() if made else 0.0,
        image=container.get("Image", ""),
        artefact_uri=container.get("ModelDataUrl") or source.get("S3Uri", ""),
        role_arn=model.get("ExecutionRoleArn", "") if model else "",
        compute=_compute(config["ProductionVariants"][0]) if config else None,
        tags=tags,
    )


def _compute(variant: Mapping[str, Any]) -> Serverless | Server:
    # What AWS has is a fact, whatever the configuration takes: it is not validated.
    if serverless := variant.get("ServerlessConfig"):
        return Serverless.model_construct(
            memory=serverless["MemorySizeInMB"],
            max_concurrency=serverless["MaxConcurrency"],
            provisioned_concurrency=serverless.get("ProvisionedConcurrency"),
        )
    return Server.model_construct(
        instance_type=variant.get("InstanceType", ""),
        initial_instance_count=variant.get("InitialInstanceCount", 1),
        volume_gb=variant.get("VolumeSizeInGB"),
        startup_timeout_s=variant.get("ContainerStartupHealthCheckTimeoutInSeconds"),
        download_timeout_s=variant.get("ModelDataDownloadTimeoutInSeconds"),
        inference_ami_version=variant.get("InferenceAmiVersion"),
        routing=variant.get("RoutingConfig", {}).get("RoutingStrategy"),
    )


def _tags(session: AwsSession, arn: str) -> dict[str, str]:
    pages = session.sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    return tag_map(tag for page in pages for tag in page["Tags"])  # type: ignore[misc]


def _arn(session: AwsSession, name: str) -> str:
    return f"arn:{session.partition}:sagemaker:{session.region}:{session.account}:endpoint/{name}"


def _each(read: Callable[[T], R | None], items: Iterable[T]) -> tuple[R, ...]:
    """`read` of each item by a few threads, in order, those that are None left out."""
    with ThreadPoolExecutor(_READERS, thread_name_prefix="sagemaker") as pool:
        return tuple(result for result in pool.map(read, items) if result is not None)
