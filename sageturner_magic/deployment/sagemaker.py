"""The plan of an endpoint on SageMaker, serverless or on instances."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path

from sageturner_magic.aws import ecr, iam, pricing, quotas, rollout, s3
from sageturner_magic.aws.bucket import bucket_findings
from sageturner_magic.aws.limits import problems
from sageturner_magic.aws.names import Names, names
from sageturner_magic.aws.sagemaker import (
    Endpoint,
    Version,
    find_endpoint,
    find_version,
    our_endpoint,
    ours,
)
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.capture import check_module, prepare_artefact
from sageturner_magic.config import Server, Serverless
from sageturner_magic.deployment.endpoint import is_local
from sageturner_magic.deployment.events import Deployment
from sageturner_magic.deployment.images import (
    dockerfile_of,
    ready_builder,
    untried,
    wanted_image,
)
from sageturner_magic.deployment.plan import Done, Fact, Plan, Step
from sageturner_magic.deployment.request import AwsOptions, Collector, DeployRequest, NotebookCode
from sageturner_magic.deployment.sagemaker_steps import (
    Work,
    pausing,
    wait_until_settled,
)
from sageturner_magic.errors import EndpointError, Finding
from sageturner_magic.image.spec import BuildSpec, ProvidedSpec, Spec
from sageturner_magic.text import nearby, size
from sageturner_magic.values import Artefact, CapturedModule, EndpointType, Reporter


def plan_sagemaker(request: DeployRequest, reporter: Reporter, workspace: Path) -> Plan:
    """Check everything that an endpoint on SageMaker needs, and say what will be done.

    Raises:
        SageturnerError: All that stands in the way, at once.
    """
    config, found = request.config, Collector()
    found.add(config.check(request.endpoint_type, request.container_mode))
    compute = config.compute.of(request.endpoint_type)
    session = found.attempt(request.aws.open)
    where = session and found.attempt(
        lambda: names(
            session,
            bucket=config.overrides.bucket_name,
            role=config.overrides.role_name,
            repository=config.overrides.repository_name,
        )
    )
    artefact = _artefact(request, reporter, workspace, found)
    module = _module(request, reporter, found)
    reporter.checkpoint()
    wanted = builder = None
    cannot_try: tuple[Finding, ...] = ()
    if module and compute:
        instance_type = compute.instance_type if isinstance(compute, Server) else ""
        wanted = found.attempt(
            lambda: wanted_image(request, module, artefact, instance_type, reporter)
        )
    if wanted:
        found.add(list(wanted.findings))
        builder = found.attempt(lambda: ready_builder(request, wanted.spec, reporter))
        cannot_try = untried(builder, wanted.spec) if builder and request.smoke_test else ()
        found.add(list(cannot_try))
        if isinstance(compute, Server) and wanted.ami:
            compute = compute.model_copy(update={"inference_ami_version": wanted.ami})
    role_arn, present = "", None
    if session and where and compute:
        role_arn, present = _account(request, session, where, compute, artefact, found)
    findings = found.finish()
    # Whatever is missing here is a finding, so finish() has raised.
    assert session and where and compute and module and wanted and builder
    stored = ecr.find_image(session, where, tag=wanted.tag, architecture=wanted.architecture)
    work = Work(
        request,
        session,
        where,
        role_arn,
        compute,
        wanted,
        builder,
        module,
        artefact,
        stored,
        present,
        try_image=request.smoke_test and not cannot_try,
    )
    return Plan(
        name=config.name,
        endpoint_type=request.endpoint_type,
        version=wanted.tag.rpartition("-")[2],
        module=module,
        facts=_facts(work),
        findings=findings,
        steps=work.steps(),
        lock=nullcontext,
        result=work.result,
        dockerfile=dockerfile_of(wanted.spec),
        look_up_layers=lambda: work.layers(reporter),
        artefact=artefact,
        requirements=wanted.spec.requirements if isinstance(wanted.spec, BuildSpec) else None,
        expected_s=present.took_s if present else None,
    )


def _account(
    request: DeployRequest,
    session: AwsSession,
    where: Names,
    compute: Serverless | Server,
    artefact: Artefact | None,
    found: Collector,
) -> tuple[str, Endpoint | None]:
    """The role's ARN and the endpoint that is there; what is wrong with either is found."""
    config = request.config
    role_arn = _role(request, session, where, artefact, found)
    present = found.attempt(lambda: find_endpoint(session, config.name))
    if present:
        found.attempt(lambda: ours(present))
    serving = present and found.attempt(lambda: find_version(session, present.heads_for))
    replaced = serving.compute if serving else None
    found.add(list(found.attempt(lambda: quotas.quota_findings(session, compute, replaced)) or ()))
    found.add(list(problems(compute)))
    return role_arn, present


def _artefact(
    request: DeployRequest, reporter: Reporter, workspace: Path, found: Collector
) -> Artefact | None:
    config = request.config
    if config.s3_artefact:
        return None
    return found.attempt(
        lambda: prepare_artefact(
            config.artefact, config.resolve("."), request.namespace, workspace, reporter
        )
    )


def _module(request: DeployRequest, reporter: Reporter, found: Collector) -> CapturedModule | None:
    captured = found.attempt(request.code.module)
    if captured is None:
        return None
    module, notes = captured
    found.add(notes)
    if isinstance(request.code, NotebookCode):
        # What a code directory imports need not be installed where it is deployed from.
        found.attempt(lambda: check_module(module, request.python, reporter))
    return module


def _role(
    request: DeployRequest,
    session: AwsSession,
    where: Names,
    artefact: Artefact | None,
    found: Collector,
) -> str:
    """The execution role's ARN; what is wrong with it, and with the bucket, goes to `found`."""
    overrides = request.config.overrides
    role = found.attempt(
        lambda: iam.resolve_role(
            session, where, role_name=overrides.role_name, role_arn=overrides.role_arn
        )
    )
    studio = None
    if role is None and not (overrides.role_name or overrides.role_arn):
        studio = found.attempt(lambda: iam.studio_role(session))
    if studio:
        found.add(
            [
                Finding(
                    "The notebook's own execution role is used",
                    where=studio,
                    why="setup has not made a role, and this is SageMaker Studio",
                    severity="note",
                )
            ]
        )
        return studio
    found.add(list(iam.role_findings(role, where)))
    if artefact is not None:
        found.add(list(found.attempt(lambda: bucket_findings(session, where)) or ()))
    if uri := request.config.s3_artefact:
        found.add(list(found.attempt(lambda: s3.uri_findings(session, uri, role)) or ()))
    return role.arn if role else where.role_arn


def _facts(work: Work) -> tuple[Fact, ...]:
    config, compute = work.request.config, work.compute
    if isinstance(compute, Serverless):
        runs = f"serverless, {compute.memory} MB, up to {compute.max_concurrency} at a time"
    else:
        runs = f"{compute.initial_instance_count} of {compute.instance_type}"
    status = work.present.status if work.present else ""
    deed = {"": "will be created", "Failed": "has failed and will be replaced"}.get(
        status, "will be updated in place"
    )
    image = f"{work.names.repository}:{work.wanted.tag}"
    if work.stored:
        image += f", there already ({size(work.stored.size)})"
    else:
        image += f", built with {work.builder.name}, because {work.builder.reason}"
    artefact = config.s3_artefact or "none"
    if work.artefact:
        artefact = f"{size(work.artefact.size)} to bucket {work.names.bucket}"
    hourly = pricing.hourly(work.session, compute)
    an_hour = f"${hourly:.3f} an hour" if hourly else "nothing"
    cost = "not known" if hourly is None else f"{an_hour} while nobody calls it"
    return (
        Fact("Endpoint", f"{config.name} ({runs}), {deed}"),
        Fact("Account", f"{work.names.account}, {work.names.region}"),
        Fact("Code", nearby(work.module.origin)),
        Fact("Packages", _packages(work.wanted.spec)),
        Fact("Image", image),
        *([Fact("GPU", work.wanted.gpu)] if work.wanted.gpu else []),
        Fact("Artefact", artefact),
        Fact("Role", work.role_arn),
        Fact("Cost", cost),
    )


def _packages(spec: Spec) -> str:
    if isinstance(spec, ProvidedSpec):
        return "those of your Dockerfile"
    direct = [f"{each.name} {each.version}" for each in spec.requirements.packages if each.direct]
    return ", ".join(direct) or "none"


def plan_rollback(name: str, version: str | None, aws: AwsOptions) -> Plan:
    """The plan of going back to an earlier version.

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
    endpoint_type: EndpointType = "server" if on_instances else "serverless"
    begin = time.monotonic()
    target: list[Version] = []

    def switch(reporter: Reporter) -> Done:
        target.append(rollout.rollback(session, name, version, pause=pausing(reporter)))
        return Done(f"from {present.version} to {target[0].version}")

    def wait(reporter: Reporter) -> Done:
        return wait_until_settled(session, name, target[0].resource, begin, reporter)

    return Plan(
        name=name,
        endpoint_type=endpoint_type,
        version=version or "",
        module=CapturedModule(f"endpoint {name}", ()),
        facts=(Fact("Endpoint", f"{name}, which serves {present.version}"),),
        findings=(),
        steps=(
            Step("endpoint", "Switch to the version before", switch),
            Step("wait", "Wait until it is InService", wait, ("endpoint",)),
        ),
        lock=nullcontext,
        result=lambda: Deployment(
            name=name,
            endpoint_type=endpoint_type,
            version=target[0].version,
            url="",
            token="",
            origin=f"version {target[0].version}",
            seconds=time.monotonic() - begin,
            region=session.region,
            profile=session.profile or "",
        ),
    )
