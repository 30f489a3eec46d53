"""sagemaker-runtime: requests to a model's container and its answers, as AWS passes them on."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response

from tests.stand.faults import Faults
from tests.stand.http import PIECE, respond
from tests.stand.logs import group_of
from tests.stand.sagemaker import metrics
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

    def handle(self, call: Call, body: bytes) -> Response:
        """The answer to an invocation. Raises AwsFault."""
        target = self._target(call)
        self._check(target, call.request.headers, body)
        answers = {
            "InvokeEndpoint": self._invoke,
            "InvokeEndpointWithResponseStream": self._stream,
        }
        if answer := answers.get(call.operation):
            with metrics.measured(call.region, target.endpoint.name, target.name):
                return answer(target, call, body)
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
        shares = [endpoint.weight(item) for item in variants]
        return _Target(endpoint, random.choices(variants, shares)[0])

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
        with (
            self._slot(target),
            self._translated(target, call.region),
            _request(target, call, body, self._limits.invocation_s) as answer,
        ):
            content = answer.read()
        self._refuse_failure(target, call.region, answer.status, content)
        limits = self._limits
        limit = limits.serverless_body_bytes if target.serverless else limits.server_body_bytes
        if len(content) > limit:
            raise self._model_error(target, call.region, 500, "oversize body")
        return respond(Answer(content, 200, _answer_headers(target, answer, "Content-Type")))

    def _stream(self, target: _Target, call: Call, body: bytes) -> Response:
        until = time.monotonic() + self._limits.stream_s
        with ExitStack() as stack:
            stack.enter_context(self._slot(target))
            with self._translated(target, call.region):
                answer = stack.enter_context(
                    _request(target, call, body, self._limits.invocation_s)
                )
                failure = answer.read() if answer.status >= 400 else b""
            self._refuse_failure(target, call.region, answer.status, failure)
            held = stack.pop_all()

        def parts() -> Iterator[bytes]:
            try:
                while data := answer.read1(PIECE):
                    yield payload_part(data)
                    if time.monotonic() > until:
                        raise TimeoutError("The stream was not complete in time.")
            except (OSError, http.client.HTTPException) as error:
                yield stream_error("ModelStreamError", str(error), ErrorCode="ModelStreamError")

        headers = _answer_headers(target, answer, f"{PREFIX}Content-Type")
        headers["Content-Type"] = "application/vnd.amazon.eventstream"
        response = Response(parts(), 200, headers)
        response.call_on_close(held.close)
        return response

    @contextmanager
    def _translated(self, target: _Target, region: str) -> Iterator[None]:
        """Turns what goes wrong between here and the container into AWS's ModelError."""
        try:
            yield
        except TimeoutError:
            raise self._model_error(target, region, 0, TIMED_OUT) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._model_error(target, region, 500, str(error)) from None

    def _refuse_failure(self, target: _Target, region: str, status: int, content: bytes) -> None:
        if status >= 400:
            raise self._model_error(target, region, status, content.decode(errors="replace"))

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
        with connection.getresponse() as answer:
            yield answer
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
