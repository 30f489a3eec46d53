"""Describe and invoke endpoints on SageMaker, and read their logs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from sageturner_magic.aws import TAG_LEASE, AwsSession, log_group, names_in
from sageturner_magic.aws import account as aws_account
from sageturner_magic.aws import (
    endpoints as aws_endpoints,
)
from sageturner_magic.aws.endpoints import (
    EndpointState,
    find_lease,
    list_endpoints,
    our_endpoint,
    read_spending,
    running_on,
)
from sageturner_magic.config import Server, Serverless
from sageturner_magic.endpoints import elsewhere, leases
from sageturner_magic.endpoints.kind import EndpointDescription, EndpointKind, Price, Send
from sageturner_magic.endpoints.payload import JSON
from sageturner_magic.endpoints.prediction import Prediction, PredictionStream, SentRequest
from sageturner_magic.endpoints.usage import POINTS, Usage, of_series
from sageturner_magic.errors import AwsError
from sageturner_magic.text import moment
from sageturner_magic.values import Attempt, Request

LOG_LINES = 1000
"""Lines that `logs` reads back, over all instances."""


class SageMakerEndpoints(EndpointKind):
    """Endpoints that sageturner made in one account and region (see `endpoint.Target`)."""

    def __init__(self, session: AwsSession) -> None:
        self.session = session

    def list(self) -> list[EndpointDescription]:
        return [self._describe(endpoint) for endpoint in list_endpoints(self.session)]

    def describe(self, name: str) -> EndpointDescription:
        return self._describe(our_endpoint(self.session, name))

    def _describe(self, endpoint: EndpointState) -> EndpointDescription:
        elsewhere.note_on_sagemaker(endpoint.name)
        computes = running_on(self.session, endpoint)
        ends, lease = self._lease(endpoint)
        leases.note_end(endpoint.name, ends)
        return EndpointDescription(
            name=endpoint.name,
            endpoint_type="server" if _is_server(endpoint, computes) else "serverless",
            status=endpoint.status,
            version=endpoint.version,
            created=endpoint.created,
            origin="",
            url="",
            cost_per_hour=self._cost(computes),
            detail="; ".join(
                filter(
                    None,
                    (
                        _foreign(endpoint),
                        _runs_on(endpoint, computes),
                        lease,
                        "protected" if endpoint.protected else "",
                    ),
                )
            ),
            ends=ends,
        )

    def _lease(self, endpoint: EndpointState) -> tuple[float | None, str]:
        """When the endpoint ends, and that in words; (None, "") without a lease."""
        if TAG_LEASE not in endpoint.tags:
            return None, ""
        try:
            lease = find_lease(self.session, endpoint.name)
        except AwsError:
            return None, f"lease of {endpoint.tags[TAG_LEASE]}, whose end you may not read"
        if lease is None or lease.end <= time.time():
            if endpoint.status == "Deleting":
                return None, "its lease has ended"
            do = f"run `sageturner delete {endpoint.name}`"
            return None, f"its lease has ended, and it is still there: {do}"
        spending = read_spending(endpoint.tags[TAG_LEASE])
        because = f" because {spending.reason}" if spending else ""
        return lease.end, f"ends at {moment(lease.end)}{because}"

    def _cost(self, computes: Sequence[Serverless | Server]) -> float | None:
        each = [aws_account.hourly(self.session, compute) for compute in computes]
        known = [price for price in each if price is not None]
        return sum(known) if each and len(known) == len(each) else None

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
        latency_ms = (time.perf_counter() - begin) * 1000
        leases.renew_in_background(self.session, name)
        return Prediction(
            endpoint=name,
            body=answer.body,
            content_type=answer.content_type or JSON,
            status=200,
            latency_ms=latency_ms,
            headers={**answer.headers},
            request=self._sent(request),
        )

    def invoke_stream(self, name: str, request: Request) -> PredictionStream:
        begin = time.perf_counter()
        answer = aws_endpoints.invoke_stream(self.session, name, request)
        leases.renew_in_background(self.session, name)
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
        send = aws_endpoints.sender(self.session, name, request, connections)

        def send_one() -> Attempt:
            leases.renew_in_background(self.session, name)
            return send()

        return send_one

    def example_request(self, name: str) -> object:
        return None

    def price(self, name: str) -> Price:
        try:
            endpoint = our_endpoint(self.session, name)
            computes = running_on(self.session, endpoint)
        except AwsError:
            # A price is a courtesy: who may invoke may not always describe.
            return Price(None, None)
        serverless = [each for each in computes if isinstance(each, Serverless)]
        if not computes or not serverless:
            return Price(self._cost(computes), 0.0 if computes else None)
        second = aws_account.serverless_second(self.session, serverless[0].memory)
        return Price(self._cost(computes), second)

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
        # To invoke an endpoint must not load what knows images.
        from sageturner_magic.endpoints.removal import removal_of_endpoint, remove

        found = removal_of_endpoint(self.session, names_in(self.session), name)
        if not found:
            self._expect(name)
        remove(self.session, found, lambda line: None)


def price_of(session: AwsSession, compute: Serverless | Server) -> Price:
    """What an endpoint on `compute` costs. Permissions: pricing:GetProducts, or no price."""
    second: float | None = 0.0
    if isinstance(compute, Serverless):
        second = aws_account.serverless_second(session, compute.memory)
    return Price(aws_account.hourly(session, compute), second)


def compute_text(compute: Serverless | Server) -> str:
    """What an endpoint runs on: `2 of ml.m5.xlarge`, `2048 MB, 1 provisioned`."""
    if isinstance(compute, Server):
        return f"{compute.initial_instance_count} of {compute.instance_type}"
    provisioned = compute.provisioned_concurrency
    return f"{compute.memory} MB" + (f", {provisioned} provisioned" if provisioned else "")


def _is_server(endpoint: EndpointState, computes: Sequence[Serverless | Server]) -> bool:
    if computes:
        return isinstance(computes[0], Server)
    # Its config is gone: what runs tells.
    return any(not variant.serverless for variant in endpoint.variants)


def _runs_on(endpoint: EndpointState, computes: Sequence[Serverless | Server]) -> str:
    if endpoint.failure_reason:
        return endpoint.failure_reason
    if not computes and endpoint.instances[0]:
        return f"{endpoint.instances[0]} instances"
    return " and ".join(map(compute_text, computes))


def _foreign(endpoint: EndpointState) -> str:
    if endpoint.version or not endpoint.config:
        return ""
    return f"changed by others: it serves the endpoint config {endpoint.config}"
