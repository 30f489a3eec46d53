"""Plan to roll an endpoint on SageMaker back to an earlier version."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, field

from sageturner_magic.aws import AwsSession
from sageturner_magic.aws.endpoints import (
    EndpointState,
    EndpointVersion,
    roll_back,
    rollback_target,
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
        EndpointError: There is no such endpoint or version, or it cannot be gone back to.
        AwsError: AWS cannot be asked.
    """
    if is_local(name, aws):
        raise EndpointError(
            f"`{name}` is a local endpoint",
            why="only endpoints on SageMaker keep their earlier versions",
            do="deploy the code as it was before",
        )
    session = aws.open()
    present, target = rollback_target(session, name, version)
    on_instances = isinstance(target.compute, Server)
    work = _Rollback(session, present, target, "server" if on_instances else "serverless")
    return Plan(
        name=name,
        endpoint_type=work.endpoint_type,
        version=target.version,
        facts=(Fact("Endpoint", f"{name}, which serves {_serving(present)}"),),
        findings=(),
        steps=(
            Step("endpoint", f"Switch to version {target.version}", work.switch),
            Step("wait", "Wait until it is InService", work.wait, ("endpoint",)),
        ),
        lock=nullcontext,
        result=work.result,
    )


def _serving(endpoint: EndpointState) -> str:
    return endpoint.version or f"the endpoint config {endpoint.config}"


@dataclass
class _Rollback:
    """The steps, and what comes of them.

    Attributes:
        target: The version that the endpoint switches to.
    """

    session: AwsSession
    present: EndpointState
    target: EndpointVersion
    endpoint_type: EndpointType
    begin: float = field(default_factory=time.monotonic)

    def switch(self, reporter: Reporter) -> Done:
        # Asked again: time may have passed since the plan was made.
        name, version = self.present.name, self.target.version
        roll_back(self.session, name, version, pause=pausing(reporter))
        return Done(f"from {_serving(self.present)} to {self.target.version}")

    def wait(self, reporter: Reporter) -> Done:
        return wait_until_settled(
            self.session, self.present.name, self.target.resource, self.begin, reporter
        )

    def result(self) -> Deployment:
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
