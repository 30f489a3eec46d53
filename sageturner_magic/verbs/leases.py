"""The verbs for the lease of an endpoint on SageMaker: move its end, or remove it."""

from __future__ import annotations

import time

from pydantic_core import PydanticCustomError

from sageturner_magic.aws import AwsSession, names_in
from sageturner_magic.aws import endpoints as aws_endpoints
from sageturner_magic.aws.account import ensure_lease_role, lease_role_findings
from sageturner_magic.calls import in_thread
from sageturner_magic.config import Config, ConfigSource, Serverless, lease_length, lease_seconds
from sageturner_magic.constants import EndpointType
from sageturner_magic.context import DEFAULT_AWS, AwsOptions, current_notebook
from sageturner_magic.endpoints import is_local, note_end
from sageturner_magic.errors import AwsError, SageturnerError, UsageError
from sageturner_magic.text import moment
from sageturner_magic.verbs.account import Changes, Offer, given_config
from sageturner_magic.verbs.requested import config_of


def extend(
    name: str,
    length: str,
    config: ConfigSource | None = None,
    *,
    aws: AwsOptions = DEFAULT_AWS,
) -> Changes:
    """Let an endpoint on SageMaker end so much later, counted from now.

    A longer lease stays as it is; an endpoint without a lease gets one.

    Args:
        length: Such as `30m`, `8h` or `2d`.
        config: For its `overrides`, which name the role of an endpoint that has no lease yet.

    Raises:
        UsageError: The length makes no sense; the endpoint is local.
        EndpointError: It is not there, not ours, or its lease has ended.
        AwsError: There is no role for leases, or a call failed.
    """
    seconds, session = _seconds(length), _leasing(name, aws)
    names = names_in(session)
    if aws_endpoints.find_lease(session, name) is None:
        given = _config_of(name, config)
        names = names_in(session, given.overrides if given else None)
        if missing := lease_role_findings(session, names):
            raise AwsError.of(missing)
    end = aws_endpoints.extend_lease(session, names, name, length, seconds, time.time())
    note_end(name, end)
    return Changes([f"{name} ends at {moment(end)}"])


def _config_of(name: str, config: ConfigSource | None) -> Config | None:
    """The configuration of `name`: the one given, the notebook's, ./sageturner.yaml or none."""
    notebook = current_notebook()
    known = notebook.configuration(name) if notebook and config is None else None
    return known or given_config(config)


LEASE_OFFERED = "8h"


def lease_offer(
    config: ConfigSource | None, name: str | None, endpoint_type: EndpointType, aws: AwsOptions
) -> Offer | None:
    """What to ask whoever creates an endpoint by hand that costs even if nobody calls it.

    A yes creates the role for leases where it is missing. None where there is nothing to ask: the
    endpoint exists, the configuration decides, or the deployment is going to fail anyway.
    """
    try:
        found = config_of(config, name)
        decides = found.lease or found.budget or found.protected
        if decides or not _costs_unused(found, endpoint_type):
            return None
        session = aws.open()
        if aws_endpoints.find_endpoint(session, found.name):
            return None
        names = names_in(session, found.overrides)
    except SageturnerError:
        return None

    def accept() -> tuple[str, ...]:
        is_there = not lease_role_findings(session, names)
        return () if is_there else ensure_lease_role(session, names)

    return Offer(
        f"`{found.name}` costs money until it is deleted."
        f" Let AWS delete it {LEASE_OFFERED} after its last use?",
        f"add `--lease {LEASE_OFFERED}`, or `--lease none`",
        accept,
    )


def _costs_unused(config: Config, endpoint_type: EndpointType) -> bool:
    compute = config.compute.of(endpoint_type)
    serverless = isinstance(compute, Serverless) and compute.provisioned_concurrency
    return endpoint_type == "server" or bool(serverless)


def keep(name: str, *, aws: AwsOptions = DEFAULT_AWS) -> Changes:
    """End the lease of an endpoint on SageMaker: it stays until you delete it.

    Raises:
        UsageError: The endpoint is local.
        EndpointError: It is not there, not ours, or is being deleted.
    """
    if aws_endpoints.keep_endpoint(_leasing(name, aws), name):
        note_end(name, None)
        return Changes([f"{name} stays until you delete it"])
    return Changes()


def _seconds(length: str) -> int:
    try:
        seconds = lease_seconds(lease_length(length))
    except PydanticCustomError as error:
        raise UsageError(
            f"`{length}` is not the length of a lease",
            why=error.message(),
            do="write it like `30m`, `8h` or `2d`",
        ) from None
    if not seconds:
        raise UsageError("`extend` takes a length", do="end the lease with `keep NAME`")
    return seconds


def _leasing(name: str, aws: AwsOptions) -> AwsSession:
    if is_local(name, aws):
        raise UsageError(
            f"`{name}` is a local endpoint",
            why="it costs nothing and has no lease",
            do=f"`sageturner delete {name}` removes it",
        )
    return aws.open()


aextend = in_thread(extend)
akeep = in_thread(keep)
