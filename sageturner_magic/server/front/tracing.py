"""Send OpenTelemetry spans, one a request, where OTEL_EXPORTER_OTLP_ENDPOINT is set.

They are sent as OTLP over HTTP in its JSON form, which every collector takes on port 4318; so
the server needs no SDK. Understood are OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS
(both also with TRACES_ before their last word), OTEL_SERVICE_NAME, OTEL_SDK_DISABLED, and
OTEL_TRACES_SAMPLER=traceidratio (or parentbased_traceidratio) with OTEL_TRACES_SAMPLER_ARG.
"""

from __future__ import annotations

import json
import random
import re
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from ..logs import Log

KEPT = 2048
"""Spans that wait to be sent at most; others are dropped (the SDK's default)."""

SEND_SECONDS = 10.0
"""How long the collector may take for a message (the SDK's default)."""

_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass
class Span:
    """One request.

    Attributes:
        trace: 32 hex digits, the caller's where it sent a traceparent header.
        name: 16 hex digits.
        parent: The caller's span; empty where there is none.
        sampled: Whether it is to be sent.
        began: time.time_ns() of its begin.
        attributes: What is known of it.
    """

    trace: str
    name: str
    parent: str
    sampled: bool
    began: int = field(default_factory=time.time_ns)
    attributes: dict[str, str | int] = field(default_factory=dict)

    @property
    def traceparent(self) -> str:
        """The header that makes what predict does in other services part of the trace."""
        return f"00-{self.trace}-{self.name}-{'01' if self.sampled else '00'}"


class Tracer:
    """Makes spans and sends them.

    Args:
        url: Of the collector's traces.
        headers: For the collector.
        service: Name of the service.
        ratio: Share of the requests without a caller's decision that are traced.
        log: Hears of a collector that does not take them.
    """

    def __init__(
        self, url: str, headers: dict[str, str], service: str, ratio: float, log: Log
    ) -> None:
        self._url = url
        self._headers = {**headers, "Content-Type": "application/json"}
        self._service = service
        self._ratio = ratio
        self._log = log
        self._ended: list[dict[str, Any]] = []
        self._complained = False

    def begin(self, traceparent: str) -> Span:
        """A span for a request that begins now; `traceparent` is the caller's header or empty."""
        name = f"{random.getrandbits(64):016x}"
        parent = _PARENT.fullmatch(traceparent)
        if parent:
            return Span(parent[1], name, parent[2], bool(int(parent[3], 16) & 1))
        trace = f"{random.getrandbits(128):032x}"
        return Span(trace, name, "", random.random() < self._ratio)

    def end(self, span: Span, status: int) -> None:
        """The request was answered with this HTTP status."""
        if not span.sampled or len(self._ended) >= KEPT:
            return
        attributes = {
            "http.request.method": "POST",
            "url.path": "/invocations",
            "http.response.status_code": status,
            **span.attributes,
        }
        ended: dict[str, Any] = {
            "traceId": span.trace,
            "spanId": span.name,
            "name": "POST /invocations",
            "kind": 2,  # A server's.
            "startTimeUnixNano": str(span.began),
            "endTimeUnixNano": str(time.time_ns()),
            "attributes": _attributes(attributes),
            "status": {"code": 2} if status >= 500 else {},
        }
        if span.parent:
            ended["parentSpanId"] = span.parent
        self._ended.append(ended)

    def flush(self) -> None:
        """Send what has ended; may take SEND_SECONDS, so not for the event loop's thread."""
        spans, self._ended = self._ended, []
        if not spans:
            return
        resource = {"attributes": _attributes({"service.name": self._service})}
        scoped = {"scope": {"name": "sageturner"}, "spans": spans}
        body = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [scoped]}]})
        request = urllib.request.Request(self._url, body.encode(), self._headers)
        try:
            with urllib.request.urlopen(request, timeout=SEND_SECONDS):
                self._complained = False
        except OSError as error:
            if not self._complained:
                self._complained = True
                self._log.warning(f"{len(spans)} spans were not taken by {self._url}: {error}")


def _attributes(values: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return [
        {
            "key": key,
            "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value},
        }
        for key, value in values.items()
    ]


def from_environment(environ: Mapping[str, str], log: Log) -> Tracer | None:
    """The tracer that the variables ask for, or None."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    url = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
    if not url and (base := environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")):
        url = f"{base.rstrip('/')}/v1/traces"
    if not url.startswith(("http://", "https://")):
        return None
    pairs = environ.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or environ.get(
        "OTEL_EXPORTER_OTLP_HEADERS", ""
    )
    headers = {}
    for pair in pairs.split(","):
        key, found, value = pair.partition("=")
        if found:
            headers[key.strip()] = unquote(value.strip())
    ratio = 1.0
    if environ.get("OTEL_TRACES_SAMPLER", "").endswith("traceidratio"):
        try:
            ratio = float(environ.get("OTEL_TRACES_SAMPLER_ARG", "1"))
        except ValueError:
            log.warning("OTEL_TRACES_SAMPLER_ARG is no number; every request is traced")
    service = environ.get("OTEL_SERVICE_NAME") or environ.get("SAGETURNER_ENDPOINT") or "sageturner"
    return Tracer(url, headers, service, ratio, log)
