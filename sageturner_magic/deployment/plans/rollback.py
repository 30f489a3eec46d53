"""Plan to roll an endpoint back to an earlier version."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from sageturner_magic.aws import TAG_LEASE, AwsSession
from sageturner_magic.aws.endpoints import (
    EndpointState,
    EndpointVersion,
    no_version,
    read_spending,
    roll_back,
    rollback_target,
)
from sageturner_magic.config import Server
from sageturner_magic.constants import EndpointType
from sageturner_magic.context import AwsOptions
from sageturner_magic.deployment.events import Deployment
from sageturner_magic.deployment.local_secrets import secret_values
from sageturner_magic.deployment.plan import Done, Fact, Plan, Step
from sageturner_magic.deployment.plans.local import Deployer, LocalSteps, ProcessSteps
from sageturner_magic.deployment.plans.pausing import pausing
from sageturner_magic.deployment.plans.sagemaker_steps import wait_until_settled
from sageturner_magic.endpoints import is_local, no_endpoint
from sageturner_magic.endpoints.local import (
    ContainerDeployer,
    EarlierContainer,
    LocalEndpoints,
    LocalRecord,
    LocalState,
    ProcessDeployer,
    Served,
    read_earlier,
)
from sageturner_magic.errors import EndpointError
from sageturner_magic.text import artefact_text, nearby
from sageturner_magic.values import Reporter

What = TypeVar("What", bound=Served)


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
    if read_spending(present.tags.get(TAG_LEASE, "")):
        raise EndpointError(
            f"{name} has a budget, which a roll-back could exceed",
            where=f"endpoint {name}",
            why="the earlier version may run on instances of another price",
            do="deploy the earlier code with `budget`, or end the budget with"
            f" `sageturner keep {name}`",
        )
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
    earlier = read_earlier(folder, present) if folder else None
    if earlier is None or version not in (None, earlier.served.version()):
        others = [earlier.served.version()] if earlier else []
        raise no_version(name, version, present.version, others)
    work: _LocalRollback[Any]
    if isinstance(earlier, EarlierContainer):
        earlier.require_image()
        work = _ContainerRollback(
            ContainerDeployer(_with_secrets(earlier.served), state), present, earlier
        )
    else:
        work = _ProcessRollback(ProcessDeployer(_with_secrets(earlier.served), state), present)
    return Plan(
        name=name,
        endpoint_type="local",
        version=work.deployer.version,
        facts=(
            Fact("Endpoint", f"{name} (local), which serves {present.version}"),
            Fact("Code", nearby(earlier.served.module.origin)),
            Fact("Artefact", artefact_text(earlier.served.artefact)),
        ),
        findings=(),
        steps=work.steps(f"Copy version {work.deployer.version}"),
        lock=work.deployer.lock,
        result=work.result,
    )


def _with_secrets(served: What) -> What:
    """`served` with the values that its secrets have on this machine now. Raises EndpointError."""
    values = secret_values(served.secrets, Path.cwd())
    missing = [name for name in served.secrets if name not in values]
    if missing:
        raise EndpointError(
            f"The secret `{missing[0]}` has no value on this machine",
            why="the earlier version is started anew, and values of secrets are not kept",
            do=f"set the environment variable {missing[0]}, or write `{missing[0]}=VALUE` into "
            f"{Path('.env').absolute()}",
            code="ST27",
        )
    return replace(served, secrets=values)


@dataclass
class _LocalRollback(LocalSteps[Deployer]):
    present: LocalRecord

    def write(self, reporter: Reporter) -> Done:
        before = self.deployer.before()
        if before is None or before.folder != self.present.folder:
            raise EndpointError(
                f"Endpoint `{self.present.name}` was changed meanwhile",
                why="another process deployed or deleted it after this rollback was planned",
                do=f"see `sageturner status {self.present.name}`, and roll back again if need be",
                code="ST84",
            )
        return super().write(reporter)


@dataclass
class _ProcessRollback(_LocalRollback[ProcessDeployer], ProcessSteps):
    """Steps that start the earlier version's process."""


@dataclass
class _ContainerRollback(_LocalRollback[ContainerDeployer]):
    """Steps that start the earlier version's image."""

    earlier: EarlierContainer

    def start(self, reporter: Reporter) -> Done:
        return Done(self.deployer.start(self.earlier.image, reporter, self.earlier.unpacked))


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
