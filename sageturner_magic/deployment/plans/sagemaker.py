"""Plan an endpoint on SageMaker, serverless or on instances."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from sageturner_magic import aws
from sageturner_magic.aws import AwsSession, Names, names_in, storage
from sageturner_magic.aws import (
    account as aws_account,
)
from sageturner_magic.aws.endpoints import (
    EndpointState,
    busy,
    check_leases,
    disk_findings,
    find_endpoint,
    find_version,
    offer_findings,
    ours,
    refuse_protected,
)
from sageturner_magic.aws.storage import bucket_findings
from sageturner_magic.config import Server, Serverless
from sageturner_magic.deployment.ingredients import gather_for_image
from sageturner_magic.deployment.local_secrets import missing_here
from sageturner_magic.deployment.plan import Fact, Plan
from sageturner_magic.deployment.plans.builders import builder_to_push, untried
from sageturner_magic.deployment.plans.image_checks import image_findings, with_system_packages
from sageturner_magic.deployment.plans.image_trials import image_trial
from sageturner_magic.deployment.plans.images import dockerfile_of, packages_text, sagemaker_image
from sageturner_magic.deployment.plans.instance import smallest_server
from sageturner_magic.deployment.plans.leasing import Leasing, spending_of
from sageturner_magic.deployment.plans.pausing import pausing
from sageturner_magic.deployment.plans.sagemaker_steps import Work
from sageturner_magic.deployment.plans.undone import undone
from sageturner_magic.deployment.request import Collector, DeployRequest
from sageturner_magic.deployment.tried import passed_before
from sageturner_magic.endpoints import price_of
from sageturner_magic.errors import Finding
from sageturner_magic.text import nearby, size
from sageturner_magic.values import Reporter


def plan_sagemaker(request: DeployRequest, reporter: Reporter, workspace: Path) -> Plan:
    """Check everything that an endpoint on SageMaker needs, and plan its deployment.

    Raises:
        SageturnerError: Every problem, at once.
    """
    config, found = request.config, Collector(request.config)
    found.add(config.check(request.endpoint_type, request.container_mode))
    compute = config.compute.of(request.endpoint_type)
    session = found.attempt(request.aws.open)
    where = session and found.attempt(lambda: names_in(session, config.overrides))
    missing = missing_here(config, "so the code and the image are not tried on this machine first")
    found.add(missing)
    ingredients = gather_for_image(request, workspace, reporter, found)
    if ingredients and not missing and not passed_before(ingredients):
        found.beside(lambda: ingredients.check_imports(reporter))
    reporter.checkpoint()
    wanted = chosen = None
    cannot_try: tuple[Finding, ...] = ()
    if ingredients and request.endpoint_type == "server" and compute is None:
        chosen_type = found.attempt(lambda: smallest_server(ingredients, session, reporter))
        if chosen_type:
            compute, note = chosen_type
            found.add([note])
    if ingredients and compute:
        instance_type = compute.instance_type if isinstance(compute, Server) else ""
        wanted = found.attempt(lambda: sagemaker_image(ingredients, instance_type, reporter))
    if wanted:
        spec = wanted.spec
        chosen = found.attempt(lambda: builder_to_push(request, spec, reporter))
        cannot_try = untried(chosen) if chosen and request.smoke_test else ()
        wanted = with_system_packages(wanted, chosen) if chosen else wanted
        found.add(wanted.findings)
        if chosen:
            found.add(image_findings(wanted.spec, chosen, reporter))
        found.add(cannot_try)
        if isinstance(compute, Server) and wanted.ami:
            compute = compute.model_copy(update={"inference_ami_version": wanted.ami})
    role_arn, present, stored = "", None, None
    if session and where and compute:
        files = bool(ingredients and ingredients.artefact)
        role_arn, present = _account(
            request, session, where, compute, found, reporter, sends_files=files
        )
    if session and where and wanted:
        tag, architecture = wanted.tag, wanted.spec.architecture
        stored = found.attempt(
            lambda: aws.find_image(session, where, tag=tag, architecture=architecture)
        )
        if present and present.changing and stored is None:
            # What is being brought is another version: that one's image is in the registry.
            found.add(busy(present).findings)
    if compute and ingredients and ingredients.artefact:
        found.add(disk_findings(compute, ingredients.artefact.size))
    if session and isinstance(compute, Serverless) and (uri := config.s3_artefact):
        found.add(disk_findings(compute, storage.archive_bytes(session, uri)))
    tried = None
    if session and ingredients and wanted and chosen and not (cannot_try or missing):
        memory = compute.memory if isinstance(compute, Serverless) else None
        variables = ingredients.variables(session.region)
        tried = found.attempt(lambda: image_trial(wanted, chosen, ingredients, variables, memory))
    spending = None
    if session and compute:
        spending = found.attempt(lambda: spending_of(session, config, compute))
    findings = found.finish()
    # Whatever is missing here is a finding, so finish() has raised.
    assert session and where and compute and ingredients and wanted and chosen
    work = Work(
        ingredients=ingredients,
        session=session,
        names=where,
        role_arn=role_arn,
        compute=compute,
        wanted=wanted,
        chosen=chosen,
        stored=stored,
        present=present,
        image_trial=tried if request.smoke_test else None,
        price=price_of(session, compute),
        leasing=Leasing(session, where, config, present, spending),
    )
    return Plan(
        name=config.name,
        endpoint_type=request.endpoint_type,
        version=work.known_version(),
        facts=_facts(work),
        findings=findings,
        steps=work.steps(),
        lock=nullcontext,
        result=work.result,
        ingredients=ingredients,
        dockerfile=dockerfile_of(wanted.spec),
        look_up_layers=lambda: work.layers(reporter),
        requirements=wanted.requirements,
        expected_s=present.took_s if present else None,
    )


def _account(
    request: DeployRequest,
    session: AwsSession,
    where: Names,
    compute: Serverless | Server,
    found: Collector,
    reporter: Reporter,
    *,
    sends_files: bool,
) -> tuple[str, EndpointState | None]:
    """The role's ARN and the endpoint that is there; what is wrong with either is found."""
    config = request.config
    pause = pausing(reporter)
    role_arn = _role(request, session, where, found, sends_files=sends_files, pause=pause)
    if config.ends:
        found.collect(lambda: aws_account.lease_role_findings(session, where))
        found.attempt(lambda: check_leases(session, config.name, where.lease_role_arn))
    present = found.attempt(lambda: find_endpoint(session, config.name))
    if present and found.attempt(lambda: ours(present)):
        found.collect(lambda: undone(session, present, compute))
        if config.ends and config.protected is None:
            found.attempt(lambda: refuse_protected(present, config.ends))
    serving = present and found.attempt(lambda: find_version(session, present.heads_for))
    replaced = serving.compute if serving else None
    found.collect(lambda: aws_account.quota_findings(session, compute, replaced))
    found.add(offer_findings(compute))
    return role_arn, present


def _role(
    request: DeployRequest,
    session: AwsSession,
    where: Names,
    found: Collector,
    *,
    sends_files: bool,
    pause: Callable[[float], None],
) -> str:
    """The execution role's ARN; what is wrong with it, and with the bucket, goes to `found`."""
    config, overrides = request.config, request.config.overrides
    looked_up = found.attempt(
        lambda: [
            aws_account.resolve_role(
                session,
                where,
                role_name=overrides.role_name,
                role_arn=overrides.role_arn,
                pause=pause,
            )
        ]
    )
    if looked_up is None:
        # Whether there is one is not known; the error says why.
        return where.role_arn
    (role,) = looked_up
    studio = None
    if not (role and role.verified) and not (overrides.role_name or overrides.role_arn):
        studio = found.attempt(lambda: aws_account.studio_role(session))
    if studio:
        note = Finding(
            "The notebook's own execution role is used",
            where=studio,
            why=f"there is no role {where.role} that you can see, and this is SageMaker Studio",
            severity="note",
        )
        found.add([note])
        role = aws_account.ExecutionRole(studio.rpartition("/")[2], studio)
    else:
        found.add(aws_account.role_findings(role, where))
        if role and role.verified:
            found.collect(
                lambda: aws_account.endpoint_findings(session, role, where, config, pause=pause)
            )
    if config.secrets:
        found.collect(lambda: aws.secret_findings(session, config.secrets))
    if uri := config.s3_artefact:
        found.collect(lambda: storage.uri_findings(session, uri, role))
    elif config.named_artefact or sends_files:
        found.collect(lambda: bucket_findings(session, where))
    return role.arn if role else where.role_arn


def _facts(work: Work) -> tuple[Fact, ...]:
    config, compute = work.ingredients.config, work.compute
    artefact = work.ingredients.artefact
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
        image += f", built with {work.chosen.builder.name}, because {work.chosen.reason}"
    model = config.s3_artefact or "none"
    if artefact:
        model = f"{size(artefact.size)} to bucket {work.names.bucket}"
    hourly = work.price.hour
    an_hour = f"${hourly:.3f} an hour" if hourly else "nothing"
    cost = "not known" if hourly is None else f"{an_hour} while nobody calls it"
    return (
        Fact("Endpoint", f"{config.name} ({runs}), {deed}"),
        Fact("Account", f"{work.names.account}, {work.names.region}"),
        Fact("Code", nearby(work.ingredients.module.origin)),
        Fact("Packages", packages_text(work.wanted.spec)),
        Fact("Image", image),
        *([Fact("Image start", start)] if (start := work.start_text) else []),
        *([Fact("GPU", work.wanted.gpu)] if work.wanted.gpu else []),
        Fact("Artefact", model),
        Fact("Role", work.role_arn),
        Fact("Cost", cost),
        *([Fact("Lease", work.leasing.text)] if work.leasing.text else []),
    )
