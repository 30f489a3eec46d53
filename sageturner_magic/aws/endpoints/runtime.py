"""Send requests to SageMaker endpoints and read the responses."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import urllib3
from botocore.exceptions import ReadTimeoutError

from sageturner_magic.aws.endpoints import logs
from sageturner_magic.aws.errors import code, explain_model, is_aws, look_up, message
from sageturner_magic.aws.names import log_group
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.aws.symptoms import INVOCATION, MODEL_ERROR
from sageturner_magic.errors import AwsError, Finding, InvocationError
from sageturner_magic.values import Attempt, Request

T = TypeVar("T")

READY_S = 120.0
"""How long a cold start is waited for; a serverless container has three minutes in all."""

_NOT_READY = ("ModelNotReadyException", "429")
_LOG_LINES = 20


@dataclass(frozen=True)
class Response:
    """The whole response of a model; its headers have lower-case names."""

    body: bytes
    content_type: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class StreamedResponse:
    """An answer that is still being made.

    Attributes:
        parts: Its bytes as they arrive; the pieces respect neither lines nor characters.
        close: Gives up the rest.
    """

    content_type: str
    parts: Iterator[bytes]
    close: Callable[[], None]


def invoke(
    session: AwsSession, name: str, request: Request, *, pause: Callable[[float], None] = time.sleep
) -> Response:
    """Send a request to an endpoint and wait for the whole answer.

    A model that is still starting (429) is tried again for up to two minutes.

    Permissions: sagemaker:InvokeEndpoint; logs:DescribeLogStreams and logs:GetLogEvents to show
    the log when the model fails.

    Raises:
        InvocationError: The model answered with an error, took too long, or was sent too much.
        AwsError: The call failed before it reached the model.
    """
    client = session.runtime_within(request.timeout_s)
    with _translated(session, name, request):
        answer = _when_ready(lambda: client.invoke_endpoint(**_parameters(name, request)), pause)
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        return Response(answer["Body"].read(), answer.get("ContentType", ""), headers)


def invoke_stream(
    session: AwsSession, name: str, request: Request, *, pause: Callable[[float], None] = time.sleep
) -> StreamedResponse:
    """Send a request; the answer can be read piece by piece, as the model produces it.

    Permissions: sagemaker:InvokeEndpointWithResponseStream; logs as for `invoke`.

    Raises:
        InvocationError: As `invoke`; also in the middle of the answer.
        AwsError: The call failed before it reached the model.
    """
    client = session.runtime_within(request.timeout_s)
    with _translated(session, name, request):
        answer = _when_ready(
            lambda: client.invoke_endpoint_with_response_stream(**_parameters(name, request)), pause
        )
    events = answer["Body"]

    def parts() -> Iterator[bytes]:
        with _translated(session, name, request):
            for event in events:
                if part := event.get("PayloadPart"):
                    yield part["Bytes"]
                for kind in ("ModelStreamError", "InternalStreamFailure"):
                    if failure := event.get(kind):
                        raise _broken(session, name, kind, failure)  # type: ignore[arg-type]

    return StreamedResponse(answer.get("ContentType", ""), parts(), events.close)


def sender(
    session: AwsSession, name: str, request: Request, connections: int
) -> Callable[[], Attempt]:
    """A function that sends the request once per call, without a retry, so that all is counted.

    It raises nothing for what AWS or the model answers, and may be called from as many threads
    as there are `connections`.

    Permissions: sagemaker:InvokeEndpoint.
    """
    client = session.runtime_of(connections, request.timeout_s)
    parameters = _parameters(name, request)

    def send() -> Attempt:
        try:
            answer = client.invoke_endpoint(**parameters)
            return Attempt(200, size=len(answer["Body"].read()))
        except Exception as error:
            if not is_aws(error):
                raise
            return _attempt_failed(error)

    return send


def _attempt_failed(error: Exception) -> Attempt:
    answer: Mapping[str, Any] = getattr(error, "response", None) or {}
    if not answer:
        return Attempt(None, type(error).__name__, str(error))
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code(error) == "ModelError":
        given = answer.get("OriginalStatusCode") or None
        trouble = f"HTTP {given} of the model" if given else "The model gave no answer"
        return Attempt(given, trouble, str(answer.get("OriginalMessage", "")))
    return Attempt(status, f"{code(error)} ({status})", answer.get("Error", {}).get("Message", ""))


def _parameters(name: str, request: Request) -> Any:
    accept = {"Accept": request.accept} if request.accept else {}
    return {
        "EndpointName": name,
        "Body": request.body,
        "ContentType": request.content_type,
        **accept,
        **request.options.given,
    }


def _when_ready(call: Callable[[], T], pause: Callable[[float], None]) -> T:
    waited, delay = 0.0, 0.5
    while True:
        try:
            return call()
        except Exception as error:
            if waited >= READY_S or not (is_aws(error) and code(error) in _NOT_READY):
                raise
        pause(delay)
        waited, delay = waited + delay, min(delay * 1.5, 10.0)


@contextmanager
def _translated(session: AwsSession, name: str, request: Request) -> Iterator[None]:
    with session.call("invoke the endpoint", f"endpoint {name}"):
        try:
            yield
        except Exception as error:
            if isinstance(error, (ReadTimeoutError, urllib3.exceptions.ReadTimeoutError)):
                raise InvocationError(
                    f"Endpoint `{name}` did not respond within {request.timeout_s:g} s",
                    do="raise `--timeout` (SageMaker itself gives a model 60 s), or look at "
                    f"`sageturner logs {name}`",
                    code="ST92",
                ) from error
            if isinstance(error, urllib3.exceptions.HTTPError):
                # botocore passes these on as they are while it reads a stream.
                raise _broken(session, name, type(error).__name__, {"Message": error}) from error
            if not is_aws(error):
                raise
            answer: Mapping[str, Any] = getattr(error, "response", None) or {}
            if code(error) == "ModelError":
                raise _model_error(session, name, answer) from error
            if code(error) in ("ModelStreamError", "InternalStreamFailure"):
                raise _broken(session, name, code(error), answer.get("Error", {})) from error
            if finding := look_up(INVOCATION, message(error)):
                raise InvocationError(
                    f"{name} did not take the request",
                    why=finding.why,
                    do=finding.do,
                    where=f"endpoint {name}",
                ) from error
            raise


def _model_error(session: AwsSession, name: str, answer: Mapping[str, Any]) -> InvocationError:
    status = answer.get("OriginalStatusCode")
    said = str(answer.get("OriginalMessage") or answer.get("Error", {}).get("Message", ""))
    lines = _log_lines(session, name)
    finding = _explained(said, lines if not status or int(status) >= 500 else ())
    return InvocationError(
        f"The model answered {status}" if status else "The model gave no answer",
        why=finding.why if finding else said,
        do=finding.do if finding else f"see the log below (`sageturner logs {name}` shows more)",
        where=f"endpoint {name}",
        details=_details(said, lines),
        code="ST91",
        status=int(status) if status else None,
    )


def _broken(
    session: AwsSession, name: str, kind: str, failure: Mapping[str, Any]
) -> InvocationError:
    said = str(failure.get("Message", ""))
    return InvocationError(
        "The response broke off",
        why=said or kind,
        do=f"see the log below (`sageturner logs {name}` shows more)",
        where=f"endpoint {name}",
        details=_details(f"{failure.get('ErrorCode', kind)}: {said}", _log_lines(session, name)),
        code="ST93",
    )


def _explained(said: str, log: tuple[str, ...]) -> Finding | None:
    """What is known about an error that a container sent: our server's JSON, or any text.

    Args:
        said: What the container, or SageMaker in its place, answered.
        log: The end of the endpoint's log, where the answer itself may not name the cause.
    """
    try:
        error = json.loads(said)["error"]
        return explain_model(f"{error['type']}: {error['message']}")
    except (ValueError, LookupError, TypeError):
        return look_up(MODEL_ERROR, said) or explain_model(said) or explain_model("\n".join(log))


def _log_lines(session: AwsSession, name: str) -> tuple[str, ...]:
    try:
        return tuple(line.text for line in logs.tail_log(session, log_group(name), _LOG_LINES))
    except AwsError:
        # Who may invoke may not always read the log; the answer itself still helps.
        return ()


def _details(said: str, lines: tuple[str, ...]) -> str:
    shown = [f"The model said: {said}"] if said else []
    if lines:
        shown += ["The endpoint's log ended with:", *lines]
    return "\n".join(shown)
