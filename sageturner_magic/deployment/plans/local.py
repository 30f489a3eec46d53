"""Plan a local endpoint whose server is a process, and what every local plan shares."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from sageturner_magic.constants import MODEL_DIR, THIS_PYTHON
from sageturner_magic.deployment.events import Deployment
from sageturner_magic.deployment.ingredients import Ingredients, gather
from sageturner_magic.deployment.local_secrets import missing_here, values_of
from sageturner_magic.deployment.plan import Done, Fact, Plan, Step
from sageturner_magic.deployment.reference import Said, refuse
from sageturner_magic.deployment.request import Collector, DeployRequest
from sageturner_magic.deployment.tried import check_response, has_container_path
from sageturner_magic.endpoints import JSON
from sageturner_magic.endpoints.local import (
    LocalDeployer,
    LocalEndpoints,
    LocalRecord,
    LocalState,
    ProcessDeployer,
    ServedByProcess,
)
from sageturner_magic.errors import EndpointError, Finding
from sageturner_magic.text import artefact_text, nearby
from sageturner_magic.values import Reporter, Request


def plan_local(request: DeployRequest, reporter: Reporter, workspace: Path) -> Plan:
    """Check everything that a local endpoint needs, and plan its deployment.

    Raises:
        SageturnerError: Every problem, at once.
    """
    found = Collector(request.config)
    found.add(request.config.check(request.endpoint_type, request.container_mode))
    ingredients = gather(request, workspace, reporter, found)
    reporter.checkpoint()
    found.add(missing_here(request.config))
    if ingredients:
        found.add(_remarks(ingredients))
    findings = found.finish()
    assert ingredients is not None
    config = request.config
    served = ServedByProcess(
        name=config.name,
        module=ingredients.module,
        artefact=ingredients.artefact,
        serving=ingredients.serving,
        environment=config.environment,
        secrets=values_of(config),
        python=request.python,
        tied=not request.detach,
        startup_timeout_s=config.compute.local.startup_timeout_s,
    )
    work = _ProcessWork(ProcessDeployer(served, LocalState()), ingredients)
    return work.plan(
        findings,
        first=[Fact("Endpoint", f"{config.name} (local, a process of this machine)")],
        then=[Fact("Python", f"{request.python} ({sys.version.split()[0]})")],
        steps=work.steps("Write code and model"),
    )


Deployer = TypeVar("Deployer", bound=LocalDeployer[Any])


@dataclass
class LocalSteps(ABC, Generic[Deployer]):
    """What starts a local endpoint, and what comes of it.

    Attributes:
        running: The endpoint's record, if it runs this version already.
        record: The endpoint's record, once it runs this version.
    """

    deployer: Deployer
    running: LocalRecord | None = field(init=False)
    record: LocalRecord | None = field(init=False)

    def __post_init__(self) -> None:
        self.running = self.record = self.deployer.running()

    def write(self, reporter: Reporter) -> Done:
        return Done(self.deployer.write(reporter))

    @abstractmethod
    def start(self, reporter: Reporter) -> Done:
        """Start the server."""

    def load(self, reporter: Reporter) -> Done:
        return Done(self.deployer.load(reporter))

    def switch(self, reporter: Reporter) -> Done:
        self.record = self.deployer.switch(reporter)
        return Done()

    @property
    def switching(self) -> str:
        """The title of the last step."""
        return "Switch over" if self.deployer.before() else "Put it into service"

    def steps(self, title: str) -> tuple[Step, ...]:
        """The steps of a server whose parts are there; the first one is called `title`."""
        return (
            Step("write", title, self.write),
            Step("start", "Start the server", self.start, needs=("write",)),
            Step("load", "Load the model", self.load, needs=("start",)),
            Step("switch", self.switching, self.switch, needs=("load",)),
        )

    def result(self) -> Deployment:
        record = self.record
        assert record is not None
        example = LocalEndpoints().example_request(record.name)
        return Deployment(
            name=record.name,
            endpoint_type="local",
            version=record.version,
            url=record.url,
            token=record.token,
            header_file=LocalState().header_file(record),
            origin=record.origin,
            seconds=record.seconds,
            unchanged=self.running is not None,
            example="" if example is None else json.dumps(example, ensure_ascii=False),
        )


@dataclass
class LocalWork(LocalSteps[Deployer]):
    """What every plan of a deployment to a local endpoint does."""

    ingredients: Ingredients

    def result(self) -> Deployment:
        deployment = super().result()
        code, module = self.ingredients.request.code, self.ingredients.module
        code.deployed(deployment.name, module.objects)
        return replace(deployment, outline=self.ingredients.outline)

    def plan(
        self,
        findings: Sequence[Finding],
        *,
        first: Sequence[Fact],
        then: Sequence[Fact],
        steps: Sequence[Step],
    ) -> Plan:
        """The plan, without steps if the endpoint runs this version already.

        Args:
            first: Facts that come before those of every local plan.
            then: Facts that come before the cost and the version.
        """
        before, version = self.deployer.before(), self.deployer.version
        return Plan(
            name=self.ingredients.config.name,
            endpoint_type="local",
            version=version,
            facts=(
                *first,
                Fact("Code", nearby(self.ingredients.module.origin)),
                Fact("Artefact", artefact_text(self.ingredients.artefact)),
                *then,
                Fact("Cost", "none"),
                Fact("Version", f"{version}{', already running' if self.running else ''}"),
                *self._replaces(),
            ),
            findings=tuple(findings),
            steps=() if self.running else tuple(steps),
            lock=self.deployer.lock,
            result=self.result,
            ingredients=self.ingredients,
            expected_s=before.seconds if before else None,
        )

    def _replaces(self) -> list[Fact]:
        replaced = self.deployer.replaced()
        if replaced is None:
            return []
        back = f"`sageturner rollback {replaced.name}` brings it back"
        return [Fact("Replaces", f"{replaced.version}; {back}")]


class ProcessSteps(LocalSteps[ProcessDeployer]):
    """What starts a process behind a local endpoint."""

    def start(self, reporter: Reporter) -> Done:
        return Done(self.deployer.start(reporter))


@dataclass
class _ProcessWork(LocalWork[ProcessDeployer], ProcessSteps):
    def load(self, reporter: Reporter) -> Done:
        done, warmed = self._load(reporter), self.deployer.warmed
        said = warmed and Said(
            Request(json.dumps(warmed["example"]).encode(), JSON),
            warmed["body"].encode(),
            warmed["content_type"],
        )
        checked = check_response(self.ingredients, said or None, reporter)
        if checked.difference:
            raise refuse(checked.difference, self.ingredients)
        return Done(", ".join(filter(None, (done.note, checked.note))))

    def _load(self, reporter: Reporter) -> Done:
        try:
            return super().load(reporter)
        except EndpointError:
            # The server has imported the module as the check does, which with torch takes as
            # long as loading the model: the check runs only after a failure.
            self.ingredients.check_imports_here(reporter)
            raise


def _remarks(ingredients: Ingredients) -> list[Finding]:
    found: list[Finding] = []
    if has_container_path(ingredients.module):
        found.append(
            Finding(
                f"The code has {MODEL_DIR} written in it",
                why="that folder exists in containers only; a local process gets `model_dir`",
                do="use the argument of load(model_dir), or os.environ['SM_MODEL_DIR']",
                where=ingredients.module.origin,
                severity="warning",
                code="ST19",
            )
        )
    config = ingredients.config
    wanted = config.container.generate_container.python_version
    if wanted and wanted != THIS_PYTHON:
        found.append(
            Finding(
                f"The configuration asks for Python {wanted}, this process has {THIS_PYTHON}",
                why="a local process runs on the interpreter that deploys it",
                where=config.where("container.generate_container.python_version"),
                severity="note",
            )
        )
    return found
