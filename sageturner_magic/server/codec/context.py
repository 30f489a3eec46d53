"""Tell predict about a request besides its body."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from .formats import Table


@dataclass
class Context:
    """What predict(model, request, context) is told about a request besides its body.

    Attributes:
        request_id: Names the request in the server's log.
        headers: The headers that SageMaker lets through, with lower-case names.
        csv: How a CSV body was read (`types` of its columns, `cells` as they were written); None
            for other bodies.
        answer_attributes: Set it to send X-Amzn-SageMaker-Custom-Attributes back (visible ASCII,
            at most 1024 characters).
        began: time.monotonic() when the worker took the request.
    """

    request_id: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    answer_attributes: str = ""
    csv: Table | None = None
    began: float = field(default_factory=time.monotonic, repr=False)

    @property
    def content_type(self) -> str:
        """The Content-Type of the request; JSON where it has none."""
        return self.headers.get("content-type", "") or "application/json"

    @property
    def accept(self) -> str:
        """The Accept header; `*/*` where there is none."""
        return self.headers.get("accept", "") or "*/*"

    @property
    def custom_attributes(self) -> str:
        """X-Amzn-SageMaker-Custom-Attributes, or empty."""
        return self.headers.get("x-amzn-sagemaker-custom-attributes", "")

    @property
    def inference_id(self) -> str:
        """X-Amzn-SageMaker-Inference-Id, or empty."""
        return self.headers.get("x-amzn-sagemaker-inference-id", "")
