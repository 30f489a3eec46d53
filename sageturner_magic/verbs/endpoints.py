"""The verbs for a deployed endpoint, wherever it runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from sageturner_magic.constants import REQUEST_SECONDS
from sageturner_magic.context import DEFAULT_AWS, AwsOptions
from sageturner_magic.endpoints import (
    Endpoint,
    EndpointDescription,
    Prediction,
    PredictionStream,
    encode,
    listing,
)


def status(name: str, *, aws: AwsOptions = DEFAULT_AWS) -> EndpointDescription:
    """One endpoint. Raises EndpointError when it is not there."""
    return Endpoint.at(name, aws).describe()


def list_endpoints(*, aws: AwsOptions = DEFAULT_AWS) -> list[EndpointDescription]:
    """All endpoints: local ones, and those on SageMaker where there are AWS credentials."""
    return list(listing(aws).endpoints)


def logs(name: str, *, last: int | None = None, aws: AwsOptions = DEFAULT_AWS) -> Iterator[str]:
    """The lines that an endpoint's server wrote so far, or the `last` of them.

    Raises:
        EndpointError: There is no such endpoint.
    """
    lines = Endpoint.at(name, aws).logs()
    return lines if last is None else iter(deque(lines, max(last, 0)))


def follow_logs(name: str, *, aws: AwsOptions = DEFAULT_AWS) -> Iterator[str]:
    """The lines so far, then new ones as they come (of a local server, until it ends)."""
    return Endpoint.at(name, aws).follow()


def invoke(
    name: str,
    payload: object,
    *,
    content_type: str | None = None,
    accept: str | None = None,
    timeout_s: float = REQUEST_SECONDS,
    aws: AwsOptions = DEFAULT_AWS,
) -> Prediction:
    """Send one request; see `Endpoint.invoke`."""
    return Endpoint.at(name, aws).send(encode(payload, content_type, accept, timeout_s))


def invoke_stream(
    name: str,
    payload: object,
    *,
    content_type: str | None = None,
    accept: str | None = None,
    timeout_s: float = REQUEST_SECONDS,
    aws: AwsOptions = DEFAULT_AWS,
) -> PredictionStream:
    """Send one request and iterate over the answer as it is made; see `Endpoint.invoke_stream`."""
    return Endpoint.at(name, aws).send_stream(encode(payload, content_type, accept, timeout_s))
