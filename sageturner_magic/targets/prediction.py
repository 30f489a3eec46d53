"""The answer of an endpoint, the same from a local process, a container and SageMaker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sageturner_magic.targets.payload import decode


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
    """

    endpoint: str
    body: bytes = field(repr=False)
    content_type: str
    status: int
    latency_ms: float
    headers: dict[str, str] = field(default_factory=dict, repr=False)

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
