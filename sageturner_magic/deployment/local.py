"""The plan of a local endpoint."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from sageturner_magic.capture import check_module, prepare_artefact
from sageturner_magic.deployment.events import Deployment
from sageturner_magic.deployment.plan import Done, Fact, Plan, Step
from sageturner_magic.deployment.request import Collector, DeployRequest
from sageturner_magic.deployment.trial import has_container_path
from sageturner_magic.errors import EndpointError, Finding
from sageturner_magic.targets.local import (
    LocalRecord,
    LocalState,
    LocalTarget,
    ProcessDeployer,
    ServedByProcess,
)
from sageturner_magic.text import artefact_text, nearby
from sageturner_magic.values import MODEL_DIR, Artefact, CapturedModule, Reporter


def plan_local(request: DeployRequest, reporter: Reporter, workspace: Path) -> Plan:
    """Check everything that a local endpoint needs, and say what will be done.

    Raises:
        SageturnerError: All that stands in the way, at once.
    """
    config = request.config
    found = Collector()
    found.add(config.check(request.endpoint_type, request.container_mode))
    captured = found.attempt(request.code.module)
    artefact = found.attempt(
        lambda: prepare_artefact(
            config.artefact, config.resolve("."), request.namespace, workspace, reporter
        )
    )
    reporter.checkpoint()
    if captured is not None:
        module, notes = captured
        found.add(notes)
        found.add(_remarks(module, request))
    findings = found.finish()
    assert captured is not None
    return _plan(request, captured[0], artefact, findings)


def deployment_of(record: LocalRecord, *, unchanged: bool) -> Deployment:
    """What a caller gets of a local endpoint, whether a process or a container runs it."""
    return Deployment(
        name=record.name,
        endpoint_type="local",
        version=record.version,
        url=record.url,
        token=record.token,
        origin=record.origin,
        seconds=record.seconds,
        unchanged=unchanged,
        example=_example(record.name),
    )


def _example(name: str) -> str:
    """What example_request() gives at a local endpoint, as JSON; empty where it has none."""
    example = LocalTarget().example_request(name)
    return "" if example is None else json.dumps(example, ensure_ascii=False)


def _plan(
    request: DeployRequest,
    module: CapturedModule,
    artefact: Artefact | None,
    findings: tuple[Finding, ...],
) -> Plan:
    config = request.config
    spec = ServedByProcess(
        name=config.name,
        module=module,
        artefact=artefact,
        serving=config.serving.model_dump(mode="json", exclude_none=True),
        environment=config.environment,
        python=request.python,
        tied=not request.detach,
        startup_timeout_s=config.compute.local.startup_timeout_s,
    )
    deployer = ProcessDeployer(spec, LocalState())
    running = deployer.running()
    before = LocalState().read(config.name)
    facts = (
        Fact("Endpoint", f"{config.name} (local, a process of this machine)"),
        Fact("Code", nearby(module.origin)),
        Fact("Artefact", artefact_text(artefact)),
        Fact("Python", f"{request.python} ({sys.version.split()[0]})"),
        Fact("Cost", "none"),
        Fact("Version", f"{deployer.version}{', already running' if running else ''}"),
    )
    records: list[LocalRecord] = [running] if running else []

    def load(reporter: Reporter) -> str:
        try:
            return deployer.load(reporter)
        except EndpointError:
            # The server has imported the module as the check does, which with torch takes as
            # long as loading the model: only what failed is looked at once more.
            check_module(module, request.python, reporter)
            raise

    def switch(reporter: Reporter) -> Done:
        records.append(deployer.switch(reporter))
        return Done()

    def result() -> Deployment:
        record = records[0]
        request.code.deployed(config.name)
        return deployment_of(record, unchanged=running is not None)

    def step(work: Callable[[Reporter], str]) -> Callable[[Reporter], Done]:
        return lambda reporter: Done(work(reporter))

    steps = (
        Step("write", "Write code and model", step(deployer.write)),
        Step("start", "Start the server", step(deployer.start), needs=("write",)),
        Step("load", "Load the model", step(load), needs=("start",)),
        Step("switch", "Switch over", switch, needs=("load",)),
    )
    return Plan(
        name=config.name,
        endpoint_type="local",
        version=deployer.version,
        module=module,
        facts=facts,
        findings=findings,
        steps=() if running else steps,
        lock=deployer.lock,
        result=result,
        artefact=artefact,
        expected_s=before.seconds if before else None,
    )


def _remarks(module: CapturedModule, request: DeployRequest) -> list[Finding]:
    found: list[Finding] = []
    if has_container_path(module):
        found.append(
            Finding(
                f"The code has {MODEL_DIR} written in it",
                why="that folder exists in containers only; a local process gets `model_dir`",
                do="use the argument of load(model_dir), or os.environ['SM_MODEL_DIR']",
                where=module.origin,
                severity="warning",
            )
        )
    wanted = request.config.container.generate_container.python_version
    here = ".".join(map(str, sys.version_info[:2]))
    if wanted and wanted != here:
        found.append(
            Finding(
                f"The configuration asks for Python {wanted}, this process has {here}",
                why="a local process runs on the interpreter that deploys it",
                where=request.config.where("container.generate_container.python_version"),
                severity="note",
            )
        )
    return found
