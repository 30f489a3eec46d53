"""Describe, list and delete SageMaker endpoints. Deleting can be repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from sageturner_magic.aws.endpoints import autoscaling, logs
from sageturner_magic.aws.errors import is_aws, message, refusals, unless
from sageturner_magic.aws.freshness import SEEN_S, once_seen
from sageturner_magic.aws.names import (
    TAG_CREATED_BY,
    TAG_PROTECTED,
    TAG_SECONDS,
    split_versioned,
    tag_list,
    tag_map,
)
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.errors import EndpointError, Finding

if TYPE_CHECKING:
    from sageturner_magic.config import Serverless

T = TypeVar("T")
R = TypeVar("R")

GONE = "Deleted"
"""Our own word for the status of an endpoint that is no more."""

NOT_FOUND = r"could not find|^ResourceNotFound"
_SETTLED = frozenset({"InService", "Failed", "OutOfService", "UpdateRollbackFailed", GONE})
_READERS = 8


@dataclass(frozen=True)
class VariantState:
    """A variant of an endpoint as SageMaker runs it.

    Attributes:
        name: Its name.
        instances: (present, wanted); (0, 0) for serverless.
        serverless: What it has of serverless compute; None on instances.
    """

    name: str
    instances: tuple[int, int] = (0, 0)
    serverless: Serverless | None = None


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
        variants: What runs; empty while it is being created.
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
    variants: tuple[VariantState, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def instances(self) -> tuple[int, int]:
        """(present, wanted) of all variants together; (0, 0) for serverless."""
        counts = [each.instances for each in self.variants]
        return sum(present for present, _ in counts), sum(wanted for _, wanted in counts)

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
    def protected(self) -> bool:
        """Whether `delete` and leases leave it alone."""
        return self.tags.get(TAG_PROTECTED) == "true"

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


def find_endpoint(session: AwsSession, name: str) -> EndpointState | None:
    """An endpoint with its tags, ours or not; None if there is none of that name.

    Permissions: sagemaker:DescribeEndpoint, sagemaker:ListTags. Raises AwsError.
    """
    with session.call(
        "describe the endpoint", f"endpoint {name}", resource=endpoint_arn(session, name)
    ):
        endpoint = read_endpoint(session, name)
        if endpoint.status == GONE:
            return None
        return replace(endpoint, tags=_seen_tags(session, endpoint))


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
            code="ST81",
        )
    return ours(endpoint)


def refuse_protected(endpoint: EndpointState | None, where: str = "") -> None:
    """Raise EndpointError for an endpoint that `protected: true` keeps. `where`: a YAML key."""
    if endpoint and endpoint.protected:
        raise EndpointError(
            f"{endpoint.name} is protected",
            where=where or f"endpoint {endpoint.name}",
            why="it was deployed with `protected: true`",
            do="deploy it with `protected: false` first",
        )


def list_endpoints(session: AwsSession) -> tuple[EndpointState, ...]:
    """All endpoints in the region that carry our tags, by name.

    Reads the tags of each endpoint of the account: the tagging service would answer in one call,
    but late, and clean-up relies on what is listed.

    Permissions: sagemaker:ListEndpoints, sagemaker:ListTags, sagemaker:DescribeEndpoint.
    Raises AwsError.
    """
    with session.call("list the endpoints", "Amazon SageMaker"):
        pages = session.sagemaker.get_paginator("list_endpoints").paginate()
        listed = [each for page in pages for each in page["Endpoints"]]
        arns = {each["EndpointName"]: each["EndpointArn"] for each in listed}
        created = {each["EndpointName"]: each["CreationTime"].timestamp() for each in listed}

        def read(name: str) -> EndpointState | None:
            tags = unless(NOT_FOUND, lambda: tags_of(session, arns[name])) or {}
            new = time.time() - created[name] < SEEN_S
            if TAG_CREATED_BY not in tags and not new:
                return None
            endpoint = read_endpoint(session, name)
            if endpoint.status == GONE:
                return None
            found = replace(endpoint, tags=_seen_tags(session, endpoint) if new else tags)
            return found if found.ours else None

        return each_of(read, sorted(created))


def delete_endpoint(session: AwsSession, name: str) -> EndpointState | None:
    """Have SageMaker delete an endpoint of ours. Nothing that may be refused comes before.

    Its versions stay. Returns when SageMaker has taken the order; `release_endpoint` follows.

    Permissions: those of `find_endpoint`, sagemaker:DeleteEndpoint.

    Returns:
        The endpoint as it was; None if there is none.

    Raises:
        EndpointError: It is not ours, or is being created or updated.
        AwsError: A call failed.
    """
    endpoint = find_endpoint(session, name)
    if endpoint and ours(endpoint).status != "Deleting" and not endpoint.settled:
        raise busy(endpoint)
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


def release_endpoint(session: AwsSession, name: str) -> tuple[Finding, ...]:
    """Take autoscaling off an endpoint that is being deleted or gone, and keep its log findable.

    Permissions: those of `autoscaling.remove` and `logs.claim_group`.

    Returns:
        A note for what was refused.
    """
    notes: list[Finding] = []
    with refusals(notes):
        autoscaling.remove(session, name)
    return (*notes, *logs.claim_group(session, name))


def ours(endpoint: EndpointState) -> EndpointState:
    """`endpoint` (with its tags), if sageturner made it. Raises EndpointError otherwise."""
    if endpoint.ours:
        return endpoint
    raise EndpointError(
        f"The endpoint {endpoint.name} was not made by sageturner",
        where="name",
        why=f"it has no tag {TAG_CREATED_BY}",
        do="choose another `name`",
        code="ST83",
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
        code="ST84",
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
        variants=tuple(map(_variant, variants)),
    )


def _variant(described: Mapping[str, Any]) -> VariantState:
    serverless = described.get("CurrentServerlessConfig")
    return VariantState(
        described["VariantName"],
        (described.get("CurrentInstanceCount", 0), described.get("DesiredInstanceCount", 0)),
        serverless_of(serverless) if serverless else None,
    )


def serverless_of(config: Mapping[str, Any]) -> Serverless:
    """A ServerlessConfig as compute. What AWS has is a fact: it is not validated."""
    from sageturner_magic.config import Serverless

    return Serverless.model_construct(
        memory=config["MemorySizeInMB"],
        max_concurrency=config["MaxConcurrency"],
        provisioned_concurrency=config.get("ProvisionedConcurrency"),
    )


def tag_endpoint(session: AwsSession, endpoint: EndpointState, tags: Mapping[str, str]) -> None:
    """Put tags on an endpoint, beside those that it has.

    Permissions: sagemaker:AddTags. Raises AwsError.
    """
    with session.call("tag the endpoint", f"endpoint {endpoint.name}", resource=endpoint.arn):
        session.sagemaker.add_tags(
            ResourceArn=endpoint.arn,
            Tags=tag_list(tags),  # type: ignore[arg-type]
        )


def tags_of(session: AwsSession, arn: str) -> dict[str, str]:
    """The tags of a resource. Permissions: sagemaker:ListTags. Raises botocore's errors."""
    pages = session.sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    return tag_map(tag for page in pages for tag in page["Tags"])  # type: ignore[misc]


def _seen_tags(session: AwsSession, endpoint: EndpointState) -> dict[str, str]:
    """The tags of an endpoint; those of a new one with our kind of config may be seen late."""
    found = once_seen(
        lambda: unless(NOT_FOUND, lambda: tags_of(session, endpoint.arn)),
        lambda tags: tags is None or TAG_CREATED_BY in tags or not endpoint.version,
        lambda: endpoint.created,
    )
    return found or {}


def endpoint_arn(session: AwsSession, name: str) -> str:
    """The ARN of the endpoint `name`, which need not exist. Raises AwsError."""
    return f"arn:{session.partition}:sagemaker:{session.region}:{session.account}:endpoint/{name}"


def each_of(read: Callable[[T], R | None], items: Iterable[T]) -> tuple[R, ...]:
    """`read` of each item by a few threads, in order, those that are None left out."""
    with ThreadPoolExecutor(_READERS, thread_name_prefix="sagemaker") as pool:
        return tuple(result for result in pool.map(read, items) if result is not None)
