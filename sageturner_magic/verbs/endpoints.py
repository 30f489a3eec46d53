"""The verbs for a deployed endpoint, wherever it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from sageturner_magic.calls import followed, in_thread, named
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
from sageturner_magic.endpoints.measured import LoadRun, LoadTest, Spent, read_spent
from sageturner_magic.errors import UsageError
from sageturner_magic.values import InvokeOptions, Request
from sageturner_magic.verbs.verb import after, finish

P = ParamSpec("P")

MOST_CONCURRENT = 1000
"""Threads that one process can sensibly hold."""


def status(name: str, *, aws: AwsOptions = DEFAULT_AWS) -> EndpointDescription:
    """One endpoint. Raises EndpointError when it is not there."""
    return Endpoint.at(name, aws).status()


def list_endpoints(*, aws: AwsOptions = DEFAULT_AWS) -> list[EndpointDescription]:
    """All endpoints: local ones, and those on SageMaker where there are AWS credentials."""
    return list(listing(aws).endpoints)


def cost(name: str | None = None, *, aws: AwsOptions = DEFAULT_AWS) -> Spent:
    """Estimate what endpoints on SageMaker that exist have cost in the last 30 days, by day.

    Args:
        name: The endpoint; None for all.

    Raises:
        EndpointError: There is no such endpoint.
    """
    return read_spent(name, aws=aws)


def client(name: str, *, output: str | Path | None = None, aws: AwsOptions = DEFAULT_AWS) -> Path:
    """Generate a Python module that calls a local endpoint, or the same one on SageMaker.

    It has the types of predict's signature, retries while an endpoint starts or is busy, and needs
    only the standard library, with SageMaker boto3.

    Args:
        name: The endpoint, which runs on this machine.
        output: The file, which is replaced if it exists; NAME_client.py where it is left out.

    Returns:
        Where it was written.

    Raises:
        EndpointError: There is no such endpoint, or it is not on this machine.
        UsageError: The file cannot be written.
    """
    text = Endpoint.at(name, aws).client_module()
    path = Path(output or f"{name.replace('-', '_')}_client.py").expanduser()
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written", why=error.strerror or "", do="name another file"
        ) from None
    return path


def logs(name: str, *, last: int | None = None, aws: AwsOptions = DEFAULT_AWS) -> Iterator[str]:
    """The lines that an endpoint's server wrote so far, or the `last` of them.

    Raises:
        EndpointError: There is no such endpoint.
    """
    return Endpoint.at(name, aws).logs(last=last)


def follow_logs(name: str, *, aws: AwsOptions = DEFAULT_AWS) -> Iterator[str]:
    """The lines so far, then new ones as they come (of a local server, until it ends)."""
    return Endpoint.at(name, aws).follow_logs()


def _request(
    name: str,
    payload: object,
    *,
    content_type: str | None = None,
    accept: str | None = None,
    timeout_s: float = REQUEST_SECONDS,
    custom_attributes: str | None = None,
    inference_id: str | None = None,
    session_id: str | None = None,
    target_variant: str | None = None,
    aws: AwsOptions = DEFAULT_AWS,
) -> tuple[Endpoint, Request]:
    given = (custom_attributes, inference_id, session_id, target_variant)
    options = InvokeOptions(*(each or "" for each in given))
    return Endpoint.at(name, aws), encode(payload, content_type, accept, timeout_s, options)


@after(_request)
def invoke(asked: tuple[Endpoint, Request]) -> Prediction:
    """Send one request; see `Endpoint.invoke`."""
    endpoint, request = asked
    return endpoint.send(request)


@after(_request)
def invoke_stream(asked: tuple[Endpoint, Request]) -> PredictionStream:
    """Send one request and iterate over the answer as it is made; see `Endpoint.invoke_stream`."""
    endpoint, request = asked
    return endpoint.send_stream(request)


def start_load_test(
    name: str,
    payload: object = None,
    *,
    requests: int = 200,
    concurrency: int = 8,
    content_type: str | None = None,
    accept: str | None = None,
    timeout_s: float = REQUEST_SECONDS,
    aws: AwsOptions = DEFAULT_AWS,
) -> LoadRun:
    """Return a load test that `watch` runs.

    Args:
        name: The endpoint.
        payload: As for `invoke`; a local endpoint's example_request() where it is left out.
        requests: How many to send.
        concurrency: How many at a time, each over a connection of its own.
        content_type, accept, timeout_s: As for `invoke`.

    Raises:
        UsageError: A number that makes no sense, or no payload.
        EndpointError: There is no such endpoint.
    """
    for flag, value, most in (
        ("--requests", requests, None),
        ("--concurrency", concurrency, MOST_CONCURRENT),
    ):
        if value < 1 or (most and value > most):
            raise UsageError(
                f"`{flag}` is {value}",
                do=f"choose from 1 to {most:,}" if most else "choose 1 or more",
            )
    endpoint = Endpoint.at(name, aws)
    payload = endpoint.example_payload() if payload is None else payload
    return LoadRun(
        name,
        endpoint.sender(encode(payload, content_type, accept, timeout_s), concurrency),
        requests=requests,
        concurrency=concurrency,
        price=endpoint.price(),
    )


@after(start_load_test)
def load_test(run: LoadRun) -> LoadTest:
    """Send real requests, several at a time, and say how they were answered.

    An interrupt ends it early and keeps what was measured.
    """
    return finish(run)


def _log_lines(name: str, *, last: int | None = None, aws: AwsOptions = DEFAULT_AWS) -> list[str]:
    """Return the lines that an endpoint's server wrote so far, or the `last` of them.

    Raises:
        EndpointError: There is no such endpoint.
    """
    return [*logs(name, last=last, aws=aws)]


def _measured(start: Callable[P, LoadRun]) -> Callable[P, Coroutine[Any, Any, LoadTest]]:
    @wraps(load_test)
    async def measure(*args: P.args, **kwargs: P.kwargs) -> LoadTest:
        # To find the endpoint and its price may ask AWS; nothing is sent to the model yet.
        run = await asyncio.to_thread(start, *args, **kwargs)
        return await followed(load_test, run.begun)()

    return named(measure, load_test)


astatus = in_thread(status)
acost = in_thread(cost)
alist = in_thread(list_endpoints, "alist")
aclient = in_thread(client)
alogs = in_thread(_log_lines, "alogs")
ainvoke = in_thread(invoke)
ainvoke_stream = in_thread(invoke_stream)
aload_test = _measured(start_load_test)
