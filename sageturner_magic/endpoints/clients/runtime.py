"""Send requests to an endpoint: what every generated client module begins with.

`generate.py` copies this text, so it imports the standard library only, boto3 where it is used, and
nothing of this package.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

READY_SECONDS = 120.0
"""How long a request waits for an endpoint that starts or is busy."""


class EndpointError(Exception):
    """A request that the endpoint did not answer.

    Attributes:
        status: The HTTP status; 0 where no response came.
        kind: The word for the reason, such as `ModelNotReadyException`.
    """

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class Invalid(EndpointError):
    """A request that is not of the endpoint's type.

    Attributes:
        at: The first place that is wrong, such as `pixels[63]`.
        faults: Every place and what is wrong there.
    """

    def __init__(self, message: str, at: str, faults: list[tuple[str, str]]) -> None:
        super().__init__(422, "Invalid", message)
        self.at = at
        self.faults = faults


def _failure(status: int, kind: str, body: str) -> EndpointError:
    try:
        error = json.loads(body)["error"]
        kind, message = str(error["type"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        return EndpointError(status, kind, body)
    if kind == "Invalid" and "faults" in error:
        faults = [(str(each["at"]), str(each["message"])) for each in error["faults"]]
        return Invalid(f"{error['at']}: {message}", str(error["at"]), faults)
    return EndpointError(status, kind, message)


class _Client:
    """Sends requests to a local endpoint or to one on SageMaker.

    Args:
        endpoint: The name.
        url: Where a local endpoint is; SageMaker is asked where it is empty.
        header_file: A file with the Authorization header of a local endpoint.
        region, profile: Of SageMaker; boto3's defaults where they are left out.
        timeout_s: Seconds that one request may take.
        ready_s: Seconds that a request waits for an endpoint that starts or is busy.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        url: str = "",
        header_file: str = "",
        region: str | None = None,
        profile: str | None = None,
        timeout_s: float = 60.0,
        ready_s: float = READY_SECONDS,
    ) -> None:
        self._endpoint = endpoint
        self._url = url
        self._header_file = header_file
        self._timeout_s = timeout_s
        self._ready_s = ready_s
        self._runtime: Any = None
        if not url:
            import boto3  # type: ignore[import-untyped,import-not-found,unused-ignore]
            import botocore.config  # type: ignore[import-untyped,import-not-found,unused-ignore]

            session = boto3.Session(region_name=region, profile_name=profile)
            config = botocore.config.Config(read_timeout=timeout_s, retries={"max_attempts": 1})
            self._runtime = session.client("sagemaker-runtime", config=config)

    def _send(self, request: object) -> Any:
        return json.loads(b"".join(self._ready(request, _JSON)))

    async def _asend(self, request: object) -> Any:
        return await asyncio.to_thread(self._send, request)

    def _batch(self, requests: Iterable[object], at_once: int) -> list[Any]:
        with ThreadPoolExecutor(at_once) as threads:
            return list(threads.map(self._send, requests))

    def _lines(self, request: object) -> Iterator[Any]:
        rest = b""
        for piece in self._ready(request, _LINES):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                value = json.loads(line)
                if isinstance(value, dict) and [*value] == ["error"]:
                    raise _failure(500, "", line.decode())
                yield value

    def _ready(self, request: object, accept: str) -> Iterator[bytes]:
        # An endpoint that starts, scales from zero or is busy says so, and gets the request again.
        body = json.dumps(request, allow_nan=False).encode()
        send = self._local if self._url else self._sagemaker
        end, pause = time.monotonic() + self._ready_s, 0.25
        while True:
            try:
                return send(body, accept)
            except EndpointError as error:
                later = error.status in (429, 503) or error.kind == "ThrottlingException"
                if not later or time.monotonic() + pause > end:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, 10.0)

    def _local(self, body: bytes, accept: str) -> Iterator[bytes]:
        headers = {"Content-Type": _JSON, "Accept": accept}
        if self._header_file:
            name, _, value = Path(self._header_file).read_text(encoding="utf-8").partition(":")
            headers[name.strip()] = value.strip()
        request = urllib.request.Request(f"{self._url}/invocations", body, headers)
        try:
            return _pieces(_DIRECT.open(request, timeout=self._timeout_s))
        except urllib.error.HTTPError as error:
            with error:
                raise _failure(error.code, "", error.read().decode("utf-8", "replace")) from None
        except OSError as error:
            raise EndpointError(0, "NoResponse", f"{self._url}: {error}") from None

    def _sagemaker(self, body: bytes, accept: str) -> Iterator[bytes]:
        import botocore.exceptions  # type: ignore[import-untyped,import-not-found,unused-ignore]

        given = {
            "EndpointName": self._endpoint,
            "ContentType": _JSON,
            "Accept": accept,
            "Body": body,
        }
        try:
            if accept == _JSON:
                return iter([self._runtime.invoke_endpoint(**given)["Body"].read()])
            return _events(self._runtime.invoke_endpoint_with_response_stream(**given)["Body"])
        except botocore.exceptions.ClientError as error:
            told: Any = error.response
            status = told.get("OriginalStatusCode", told["ResponseMetadata"]["HTTPStatusCode"])
            kind, message = told["Error"]["Code"], told["Error"]["Message"]
            raise _failure(int(status), kind, told.get("OriginalMessage", message)) from None
        except botocore.exceptions.BotoCoreError as error:
            raise EndpointError(0, "NoResponse", str(error)) from None


# A proxy that the environment names does not reach this machine's endpoints.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_JSON = "application/json"
_LINES = "application/jsonlines"


def _pieces(response: Any) -> Iterator[bytes]:
    with response:
        try:
            while piece := response.read1(65536):
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise EndpointError(0, "NoResponse", f"the response broke off: {error}") from None
        if response.length:
            raise EndpointError(0, "NoResponse", "the response broke off")


def _events(events: Any) -> Iterator[bytes]:
    for event in events:
        for kind, part in event.items():
            if kind != "PayloadPart":
                raise EndpointError(500, kind, str(part.get("Message", part)))
            yield part["Bytes"]
