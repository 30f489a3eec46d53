"""The verbs for the lease of an endpoint on SageMaker: move its end, or remove it."""

from __future__ import annotations

import time

from pydantic_core import PydanticCustomError

from sageturner_magic.aws import AwsSession, names_in
from sageturner_magic.aws import endpoints as aws_endpoints
from sageturner_magic.aws.account import lease_role_findings
from sageturner_magic.calls import in_thread
from sageturner_magic.config import lease_length, lease_seconds
from sageturner_magic.context import DEFAULT_AWS, AwsOptions
from sageturner_magic.endpoints import is_local
from sageturner_magic.errors import AwsError, UsageError
from sageturner_magic.text import moment
from sageturner_magic.verbs.account import Changes


def extend(name: str, length: str, *, aws: AwsOptions = DEFAULT_AWS) -> Changes:
    """Let an endpoint on SageMaker end so much later, counted from now.

    A longer lease stays as it is; an endpoint without a lease gets one.

    Args:
        length: Such as `30m`, `8h` or `2d`.

    Raises:
        UsageError: The length makes no sense; the endpoint is local.
        EndpointError: It is not there, not ours, or its lease has ended.
        AwsError: There is no role for leases, or a call failed.
    """
    seconds, session = _seconds(length), _leasing(name, aws)
    names = names_in(session)
    if aws_endpoints.find_lease(session, name) is None and (
        missing := lease_role_findings(session, names)
    ):
        raise AwsError.of(missing)
    end = aws_endpoints.extend_lease(session, names, name, length, seconds, time.time())
    return Changes([f"{name} ends at {moment(end)}"])


def keep(name: str, *, aws: AwsOptions = DEFAULT_AWS) -> Changes:
    """End the lease of an endpoint on SageMaker: it stays until you delete it.

    Raises:
        UsageError: The endpoint is local.
        EndpointError: It is not there, not ours, or is being deleted.
    """
    if aws_endpoints.keep_endpoint(_leasing(name, aws), name):
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
