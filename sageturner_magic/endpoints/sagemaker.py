"""Describe and invoke endpoints on SageMaker, and read their logs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import suppress

from sageturner_magic.aws import AwsSession, log_group
from sageturner_magic.aws import account as aws_account
from sageturner_magic.aws import (
    endpoints as aws_endpoints,
)
from sageturner_magic.aws.endpoints import (
    EndpointState,
    EndpointVersion,
    delete_endpoint,
    find_version,
    list_endpoints,
    our_endpoint,
)
from sageturner_magic.config import Server
from sageturner_magic.endpoints.kind import EndpointDescription, Price, Send
from sageturner_magic.endpoints.payload import JSON
from sageturner_magic.endpoints.prediction import Prediction, PredictionStream, SentRequest
from sageturner_magic.endpoints.usage import POINTS, Usage, of_series
from sageturner_magic.errors import AwsError
from sageturner_magic.values import Request

LOG_LINES = 1000
"""Lines that `logs` reads back, over all instances."""


class SageMakerEndpoints:
    """Endpoints that sageturner made in one account and region (see `endpoint.Target`)."""

    def __init__(self, session: AwsSession) -> None:
        self.session = session

    def list(self) -> list[EndpointDescription]:
        return [self._describe(endpoint) for endpoint in list_endpoints(self.session)]

    def describe(self, name: str) -> EndpointDescription:
        return self._describe(our_endpoint(self.session, name))

    def _describe(self, endpoint: EndpointState) -> EndpointDescription:
        version = find_version(self.session, endpoint.config) if endpoint.config else None
        return EndpointDescription(
            name=endpoint.name,
            endpoint_type="server" if version and _on_instances(version) else "serverless",
            status=endpoint.status,
            version=endpoint.version,
            created=endpoint.created,
            origin="",
            url="",
            cost_per_hour=self._cost(version),
            detail=endpoint.failure_reason or _runs_on(endpoint, version),
        )

    def _cost(self, version: EndpointVersion | None) -> float | None:
        if version is None or version.compute is None:
            return None
        return aws_account.hourly(self.session, version.compute)

    def logs(self, name: str) -> Iterator[str]:
        self._expect(name)
        for line in aws_endpoints.tail_log(self.session, log_group(name), LOG_LINES):
            yield line.text

    def follow(self, name: str) -> Iterator[str]:
        self._expect(name)
        for line in aws_endpoints.follow_log(self.session, log_group(name)):
            yield line.text

    def _expect(self, name: str) -> None:
        """Raise EndpointError where there is no such endpoint of ours."""
        # Who may read logs need not be allowed to describe endpoints.
        with suppress(AwsError):
            our_endpoint(self.session, name)

    def invoke(self, name: str, request: Request) -> Prediction:
        begin = time.perf_counter()
        answer = aws_endpoints.invoke(self.session, name, request)
        return Prediction(
            endpoint=name,
            body=answer.body,
            content_type=answer.content_type or JSON,
            status=200,
            latency_ms=(time.perf_counter() - begin) * 1000,
            request=self._sent(request),
        )

    def invoke_stream(self, name: str, request: Request) -> PredictionStream:
        begin = time.perf_counter()
        answer = aws_endpoints.invoke_stream(self.session, name, request)
        return PredictionStream(
            endpoint=name,
            status=200,
            content_type=answer.content_type or JSON,
            chunks=answer.parts,
            close=answer.close,
            request=self._sent(request),
            begin=begin,
        )

    def _sent(self, request: Request) -> SentRequest:
        return SentRequest(
            **vars(request), region=self.session.region, profile=self.session.profile or ""
        )

    def sender(self, name: str, request: Request, connections: int) -> Send:
        return aws_endpoints.sender(self.session, name, request, connections)

    def example_request(self, name: str) -> object:
        return None

    def price(self, name: str) -> Price:
        try:
            endpoint = our_endpoint(self.session, name)
            version = find_version(self.session, endpoint.config) if endpoint.config else None
        except AwsError:
            # A price is a courtesy: who may invoke may not always describe.
            return Price(None, None)
        if version is None or version.compute is None:
            return Price(None, None)
        hour = aws_account.hourly(self.session, version.compute)
        if isinstance(version.compute, Server):
            return Price(hour, 0.0)
        return Price(hour, aws_account.serverless_second(self.session, version.compute.memory))

    def usage(self, name: str, hours: float) -> Usage:
        period = aws_endpoints.metric_period(hours * 3600, POINTS)
        end = math.ceil(time.time() / period) * period
        count = math.ceil(hours * 3600 / period)
        start = end - count * period
        series = aws_endpoints.request_metrics(
            self.session, name, start=start, end=end, period=period
        )
        return of_series(series, start=start, period_s=period, count=count)

    def delete(self, name: str) -> None:
        delete_endpoint(self.session, name)


def _on_instances(version: EndpointVersion) -> bool:
    return isinstance(version.compute, Server)


def _runs_on(endpoint: EndpointState, version: EndpointVersion | None) -> str:
    if version is None or version.compute is None:
        return ""
    if isinstance(version.compute, Server):
        return f"{endpoint.instances[0]} of {version.compute.instance_type}"
    return f"{version.compute.memory} MB"
