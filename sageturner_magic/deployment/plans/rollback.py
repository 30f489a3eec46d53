"""Plan to roll an endpoint back to an earlier version."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field

from sageturner_magic.aws import AwsSession
from sageturner_magic.aws.endpoints import (
    EndpointState,
    EndpointVersion,
    no_version,
    roll_back,
    rollback_target,
)
from sageturner_magic.config import Server
from sageturner_magic.constants import EndpointType
from sageturner_magic.context import AwsOptions
from sageturner_magic.deployment.events import Deployment
from sageturner_magic.deployment.plan import Done, Fact, Plan, Step
from sageturner_magic.deployment.plans.local import ProcessSteps
from sageturner_magic.deployment.plans.sagemaker_steps import pausing, wait_until_settled
from sageturner_magic.endpoints import is_local, no_endpoint
from sageturner_magic.endpoints.local import (
    LocalEndpoints,
    LocalRecord,
    LocalState,
    ProcessDeployer,
    ServedByProcess,
)
from sageturner_magic.errors import EndpointError, Finding
from sageturner_magic.text import artefact_text, nearby
from sageturner_magic.values import Reporter


def plan_rollback(name: str, version: str | None, aws: AwsOptions) -> Plan:
    """Plan an endpoint's way back to `version`, or to the version before the present one.

    Raises:
        EndpointError: There is no such endpoint or version, or it cannot be gone back to.
        AwsError: AWS cannot be asked.
    """
    if is_local(name, aws):
        return _plan_local(name, version)
    if not aws.includes_sagemaker:
        raise no_endpoint(name, aws)
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


def _plan_local(name: str, version: str | None) -> Plan:
    state = LocalState()
    present = LocalEndpoints(state).record(name)
    folder = state.previous(present)
    served = ServedByProcess.read(folder, present) if folder else None
    if served is None or version not in (None, served.version()):
        others = [served.version()] if served else []
        in_container = " in a container, whose versions are not kept" if present.image else ""
        raise no_version(name, version, f"{present.version}{in_container}", others)
    work = _LocalRollback(ProcessDeployer(served, state), present)
    return Plan(
        name=name,
        endpoint_type="local",
        version=work.deployer.version,
        facts=(
            Fact("Endpoint", f"{name} (local), which serves {present.version}"),
            Fact("Code", nearby(served.module.origin)),
            Fact("Artefact", artefact_text(served.artefact)),
        ),
        findings=tuple(_not_kept(present)),
        steps=work.steps(f"Copy version {work.deployer.version}"),
        lock=work.deployer.lock,
        result=work.result,
    )


def _not_kept(present: LocalRecord) -> Iterator[Finding]:
    if present.image:
        yield Finding(
            f"Version {present.version} is not kept",
            where=f"endpoint {present.name}",
            why="it runs in a container, and this rollback replaces it by a process",
            do="deploy it again when you want it back",
            severity="note",
        )


@dataclass
class _LocalRollback(ProcessSteps):
    present: LocalRecord

    def write(self, reporter: Reporter) -> Done:
        before = self.deployer.before()
        if before is None or before.folder != self.present.folder:
            raise EndpointError(
                f"Endpoint `{self.present.name}` was changed meanwhile",
                why="another process deployed or deleted it after this rollback was planned",
                do=f"see `sageturner status {self.present.name}`, and roll back again if need be",
            )
        return super().write(reporter)


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
