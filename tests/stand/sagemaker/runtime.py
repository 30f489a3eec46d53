"""sagemaker-runtime: requests to a model's container and its answers, as AWS passes them on."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response

from tests.stand.faults import Faults
from tests.stand.http import PIECE, respond
from tests.stand.logs import group_of
from tests.stand.sagemaker.api import SageMaker
from tests.stand.sagemaker.images import Limits
from tests.stand.sagemaker.store import Endpoint, Variant
from tests.stand.wire import (
    ACCOUNT,
    Answer,
    AwsFault,
    Call,
    payload_part,
    stream_error,
)

PREFIX = "X-Amzn-SageMaker-"
TO_CONTAINER = ("Custom-Attributes", "Inference-Id", "Session-Id")
FROM_CONTAINER = ("Custom-Attributes", "New-Session-Id", "Closed-Session-Id")
ATTRIBUTES_LIMIT = 1024
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


@dataclass(frozen=True)
class _Target:
    endpoint: Endpoint
    variant: Variant

    @property
    def name(self) -> str:
        return str(self.variant.settings["VariantName"])

    @property
    def serverless(self) -> Mapping[str, int] | None:
        found: Mapping[str, int] | None = self.variant.settings.get("ServerlessConfig")
        return found


class Runtime:
    """Passes invocations on to the containers of endpoints that are in service."""

    def __init__(self, sagemaker: SageMaker, faults: Faults, limits: Limits) -> None:
        self._sagemaker = sagemaker
        self._faults = faults
        self._limits = limits
        self._lock = threading.Lock()
        self._running: dict[str, int] = {}
        self._turn = 0

    def handle(self, call: Call, body: bytes) -> Response:
        """The answer to an invocation. Raises AwsFault."""
        target = self._target(call)
        self._check(target, call.request.headers, body)
        if call.operation == "InvokeEndpoint":
            with self._slot(target):
                return self._invoke(target, call, body)
        if call.operation == "InvokeEndpointWithResponseStream":
            return self._stream(target, call, body)
        raise AwsFault("UnknownOperationException", f"{call.operation} is not supported here")

    def _target(self, call: Call) -> _Target:
        name = call.params["EndpointName"]
        endpoint = self._sagemaker.store(call.region).endpoints.get(name)
        if endpoint is None:
            raise AwsFault("ValidationError", f"Endpoint {name} of account {ACCOUNT} not found.")
        variants = endpoint.variants
        if not variants or endpoint.status in ("Creating", "Failed", "Deleting"):
            raise AwsFault(
                "ValidationError",
                f"Endpoint {name} of account {ACCOUNT} is not in a state to be invoked: "
                f"{endpoint.status}.",
            )
        if wanted := call.request.headers.get(f"{PREFIX}Target-Variant"):
            variants = [item for item in variants if item.settings["VariantName"] == wanted]
            if not variants:
                raise AwsFault("ValidationError", f"Variant {wanted} of endpoint {name} not found.")
        with self._lock:
            self._turn += 1
            return _Target(endpoint, variants[self._turn % len(variants)])

    def _check(self, target: _Target, headers: Headers, body: bytes) -> None:
        limits = self._limits
        limit = limits.serverless_body_bytes if target.serverless else limits.server_body_bytes
        if len(body) > limit:
            raise AwsFault("413", "Request Entity Too Large", 413)
        attributes = headers.get(f"{PREFIX}Custom-Attributes", "")
        if len(attributes) > ATTRIBUTES_LIMIT or not all(" " <= item <= "~" for item in attributes):
            raise AwsFault(
                "ValidationError",
                "CustomAttributes must be at most 1024 visible US-ASCII characters.",
            )
        if target.serverless and self._faults.take("cold_starts"):
            raise AwsFault(
                "ModelNotReadyException",
                f"Endpoint {target.endpoint.name} is not ready for inference, please try again.",
                429,
            )

    @contextmanager
    def _slot(self, target: _Target) -> Iterator[None]:
        """One of a serverless endpoint's MaxConcurrency places. Raises AwsFault (429)."""
        key = target.variant.container.id
        with self._lock:
            running = self._running.get(key, 0)
            if target.serverless and running >= target.serverless["MaxConcurrency"]:
                raise AwsFault("ThrottlingException", "Rate exceeded", 429)
            self._running[key] = running + 1
        try:
            yield
        finally:
            with self._lock:
                self._running[key] -= 1

    def _invoke(self, target: _Target, call: Call, body: bytes) -> Response:
        try:
            with _request(target, call, body, self._limits.invocation_s) as answer:
                content = answer.read()
        except TimeoutError:
            raise self._model_error(target, call.region, 0, TIMED_OUT) from None
        except (OSError, http.client.HTTPException) as error:
            # The container ended or broke off: AWS reports a server error of the model.
            raise self._model_error(target, call.region, 500, str(error)) from None
        if answer.status >= 400:
            raise self._model_error(
                target, call.region, answer.status, content.decode(errors="replace")
            )
        limits = self._limits
        limit = limits.serverless_body_bytes if target.serverless else limits.server_body_bytes
        if len(content) > limit:
            raise self._model_error(target, call.region, 500, "oversize body")
        return respond(Answer(content, 200, _answer_headers(target, answer, "Content-Type")))

    def _stream(self, target: _Target, call: Call, body: bytes) -> Response:
        slot = self._slot(target)
        slot.__enter__()
        request = _request(target, call, body, self._limits.invocation_s)
        try:
            answer = request.__enter__()
            if answer.status >= 400:
                content = answer.read().decode(errors="replace")
                raise self._model_error(target, call.region, answer.status, content)
        except BaseException as error:
            slot.__exit__(None, None, None)
            if isinstance(error, TimeoutError):
                raise self._model_error(target, call.region, 0, TIMED_OUT) from None
            if isinstance(error, OSError | http.client.HTTPException):
                raise self._model_error(target, call.region, 500, str(error)) from None
            raise

        def parts() -> Iterator[bytes]:
            try:
                while data := answer.read1(PIECE):
                    yield payload_part(data)
            except (OSError, http.client.HTTPException) as error:
                yield stream_error("ModelStreamError", str(error), ErrorCode="ModelStreamError")
            finally:
                request.__exit__(None, None, None)
                slot.__exit__(None, None, None)

        headers = _answer_headers(target, answer, f"{PREFIX}Content-Type")
        headers["Content-Type"] = "application/vnd.amazon.eventstream"
        return Response(parts(), 200, headers)

    def _model_error(self, target: _Target, region: str, status: int, message: str) -> AwsFault:
        side = "client" if 400 <= status < 500 else "server"
        group = group_of(target.endpoint.name)
        console = (
            f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
            f"#logEventViewer:group={group}"
        )
        return AwsFault(
            "ModelError",
            f'Received {side} error ({status}) from primary with message "{message}". '
            f"See {console} in account {ACCOUNT} for more information.",
            424,
            OriginalStatusCode=status,
            OriginalMessage=message,
            LogStreamArn=f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{group}",
        )


@contextmanager
def _request(
    target: _Target, call: Call, body: bytes, seconds: float
) -> Iterator[http.client.HTTPResponse]:
    """POST /invocations with the headers that reach a container, and no others."""
    given = call.request.headers
    headers = {"Content-Type": given.get("Content-Type") or "application/octet-stream"}
    # For a stream the caller's Accept is for the event stream, and the model's is beside it.
    accept = f"{PREFIX}Accept" if "Stream" in call.operation else "Accept"
    if given.get(accept):
        headers["Accept"] = given[accept]
    for name in TO_CONTAINER:
        if value := given.get(PREFIX + name):
            headers[PREFIX + name] = value
    port = target.variant.container.port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("POST", "/invocations", body, headers)
        yield connection.getresponse()
    finally:
        connection.close()


def _answer_headers(
    target: _Target, answer: http.client.HTTPResponse, content_type: str
) -> dict[str, str]:
    headers = {"x-Amzn-Invoked-Production-Variant": target.name}
    headers[content_type] = answer.getheader("Content-Type") or "application/octet-stream"
    for name in FROM_CONTAINER:
        if value := answer.getheader(PREFIX + name):
            headers[PREFIX + name] = value
    return headers
