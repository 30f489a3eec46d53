"""Plan to roll an endpoint on SageMaker back to an earlier version."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, field

from sageturner_magic.aws import AwsSession
from sageturner_magic.aws import endpoints as aws_endpoints
from sageturner_magic.aws.endpoints import (
    EndpointState,
    EndpointVersion,
    find_version,
    our_endpoint,
)
from sageturner_magic.config import Server
from sageturner_magic.constants import EndpointType
from sageturner_magic.context import AwsOptions
from sageturner_magic.deployment.events import Deployment
from sageturner_magic.deployment.plan import Done, Fact, Plan, Step
from sageturner_magic.deployment.plans.sagemaker_steps import pausing, wait_until_settled
from sageturner_magic.endpoints import is_local
from sageturner_magic.errors import EndpointError
from sageturner_magic.values import Reporter


def plan_rollback(name: str, version: str | None, aws: AwsOptions) -> Plan:
    """Plan an endpoint's way back to `version`, or to the version before the present one.

    Raises:
        EndpointError: There is no such endpoint.
        AwsError: AWS cannot be asked.
    """
    if is_local(name, aws):
        raise EndpointError(
            f"`{name}` is a local endpoint",
            why="only endpoints on SageMaker keep their earlier versions",
            do="deploy the code as it was before",
        )
    session = aws.open()
    present = our_endpoint(session, name)
    serving = find_version(session, present.config)
    on_instances = serving is not None and isinstance(serving.compute, Server)
    work = _Rollback(session, present, version, "server" if on_instances else "serverless")
    return Plan(
        name=name,
        endpoint_type=work.endpoint_type,
        version=version or "",
        facts=(Fact("Endpoint", f"{name}, which serves {present.version}"),),
        findings=(),
        steps=(
            Step("endpoint", "Switch to the previous version", work.switch),
            Step("wait", "Wait until it is InService", work.wait, ("endpoint",)),
        ),
        lock=nullcontext,
        result=work.result,
    )


@dataclass
class _Rollback:
    """The steps, and what comes of them.

    Attributes:
        wanted: 12 hex digits; None for the version before the present one.
        target: The version that the endpoint switched to.
    """

    session: AwsSession
    present: EndpointState
    wanted: str | None
    endpoint_type: EndpointType
    begin: float = field(default_factory=time.monotonic)
    target: EndpointVersion | None = None

    def switch(self, reporter: Reporter) -> Done:
        name, pause = self.present.name, pausing(reporter)
        self.target = aws_endpoints.roll_back(self.session, name, self.wanted, pause=pause)
        return Done(f"from {self.present.version} to {self.target.version}")

    def wait(self, reporter: Reporter) -> Done:
        assert self.target is not None
        return wait_until_settled(
            self.session, self.present.name, self.target.resource, self.begin, reporter
        )

    def result(self) -> Deployment:
        assert self.target is not None
        return Deployment(
            name=self.present.name,
            endpoint_type=self.endpoint_type,
            version=self.target.version,
            url="",
            token="",
            origin=f"version {self.target.version}",
            seconds=time.monotonic() - self.begin,
            region=self.session.region,
            profile=self.session.profile or "",
        )
