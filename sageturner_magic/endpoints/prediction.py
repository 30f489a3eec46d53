"""The response of an endpoint, the same from every kind of endpoint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Any

from sageturner_magic.endpoints.payload import decode
from sageturner_magic.endpoints.stream_pieces import pieces
from sageturner_magic.errors import InvocationError
from sageturner_magic.values import Request


@dataclass(frozen=True)
class SentRequest(Request):
    """A request and where it was sent: enough to send it again from elsewhere.

    Attributes:
        url, token: Of a local endpoint; empty on SageMaker.
        header_file: A file with the header of that token; empty where there is none.
        region, profile: Of SageMaker; empty for a local endpoint or the default profile.
    """

    url: str = ""
    token: str = field(default="", repr=False)
    header_file: str = ""
    region: str = ""
    profile: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers for a local endpoint."""
        headers = {"Content-Type": self.content_type}
        if self.token:
            headers["Authorization"] = f"token {self.token}"
        if self.accept:
            headers["Accept"] = self.accept
        return headers | self.options.headers


@dataclass(frozen=True, eq=False)
class Prediction:
    """An endpoint's answer to one request.

    Reads like its own value: `prediction["digit"]`, `for row in prediction`, `len(…)` and
    comparison go to the decoded value.

    Attributes:
        endpoint: Name of the endpoint.
        body: The answer's bytes.
        content_type: Its Content-Type.
        status: HTTP status of the model server.
        latency_ms: Milliseconds from sending the request to the last byte of the answer.
        headers: Response headers, lower-case names.
        request: What it answers.
    """

    endpoint: str
    body: bytes = field(repr=False)
    content_type: str
    status: int
    latency_ms: float
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    request: SentRequest | None = field(default=None, repr=False)

    @cached_property
    def value(self) -> Any:
        """The decoded answer: JSON and NPY as Python values, text as str, the rest bytes."""
        return decode(self.body, self.content_type)

    def __getitem__(self, key: Any) -> Any:
        return self.value[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.value)

    def __len__(self) -> int:
        return len(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __contains__(self, item: object) -> bool:
        return item in self.value

    def __eq__(self, other: object) -> bool:
        return bool(self.value == (other.value if isinstance(other, Prediction) else other))

    __hash__ = None  # type: ignore[assignment]


class PredictionStream:
    """An answer that is read while the model still makes it.

    Iterate over it, with `for` or `async for`, for the pieces that `predict` yields: text as str,
    JSON lines as values, the rest as bytes (an answer that is not streamed is one piece).
    `close()`, or leaving it as a context manager, gives up the rest, and the endpoint stops making
    it.

    Attributes:
        endpoint: Name of the endpoint.
        status: HTTP status of the model server.
        content_type: Its Content-Type.
        first_ms: Milliseconds from sending the request to the first bytes; None before them.
    """

    def __init__(
        self,
        endpoint: str,
        status: int,
        content_type: str,
        chunks: Iterator[bytes],
        close: Callable[[], None],
        request: SentRequest,
        begin: float,
    ) -> None:
        """
        Args:
            begin: When the request was sent, as time.perf_counter() has it.
        """
        self.endpoint = endpoint
        self.status = status
        self.content_type = content_type
        self.first_ms: float | None = None
        self._begin = self._last = begin
        self._received: list[bytes] = []
        self._request = request
        self._close = close
        self._pieces = pieces(self._counted(chunks), content_type)
        self._tell: Callable[[InvocationError], InvocationError] | None = None

    def telling(self, tell: Callable[[InvocationError], InvocationError]) -> PredictionStream:
        """The same stream; where it breaks off, what `tell` makes of the error is raised."""
        self._tell = tell
        return self

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._last = time.perf_counter()
            if self.first_ms is None:
                self.first_ms = (self._last - self._begin) * 1000
            self._received.append(chunk)
            yield chunk
        self._last = time.perf_counter()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._pieces)
        except InvocationError as error:
            if self._tell is None:
                raise
            raise self._tell(error) from error.__cause__

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Iterate without holding up the event loop; to leave early gives up the rest."""
        end = object()
        try:
            while (piece := await asyncio.to_thread(next, self, end)) is not end:
                yield piece
        finally:
            self.close()

    def so_far(self) -> Prediction:
        """What has arrived, as a prediction: the whole answer once the iteration has ended."""
        return Prediction(
            endpoint=self.endpoint,
            body=b"".join(self._received),
            content_type=self.content_type,
            status=self.status,
            latency_ms=(self._last - self._begin) * 1000,
            request=self._request,
        )

    def close(self) -> None:
        """Give up what has not arrived yet. Safe to repeat."""
        self._close()

    def __enter__(self) -> PredictionStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
