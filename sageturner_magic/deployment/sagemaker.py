"""The plan of an endpoint on SageMaker, serverless or on instances."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from sageturner_magic.aws import autoscaling, ecr, iam, pricing, quotas, rollout, s3, upload
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
from sageturner_magic.aws.spec import (
    Autoscaling,
    EndpointSpec,
    Network,
    Server,
    Serverless,
    problems,
)
from sageturner_magic.capture import check_module, prepare_artefact
from sageturner_magic.config import Config
from sageturner_magic.deployment import words
from sageturner_magic.deployment.events import Deployment
from sageturner_magic.deployment.images import (
    ChosenBuilder,
    WantedImage,
    choose_builder,
    wanted_image,
)
from sageturner_magic.deployment.plan import Done, Fact, Plan, Step
from sageturner_magic.deployment.request import AwsOptions, Collector, DeployRequest, NotebookCode
from sageturner_magic.errors import DeploymentCancelled, Finding
from sageturner_magic.image.spec import BuildSpec, BuiltImage, Destination, ProvidedSpec, Spec
from sageturner_magic.image.urls import Credentials
from sageturner_magic.targets.container.runner import ContainerSpec
from sageturner_magic.targets.container.smoke import smoke_test
from sageturner_magic.values import Artefact, CapturedModule, EndpointType, ImageRef, Reporter

PLACEHOLDER_DIGEST = "sha256:" + "0" * 64
"""Stands for the image in checks that are made before there is one."""


@dataclass
class _Work:
    """What is known when everything is checked, and what the steps add to it."""

    request: DeployRequest
    session: AwsSession
    names: Names
    role_arn: str
    compute: Serverless | Server
    wanted: WantedImage
    builder: ChosenBuilder
    module: CapturedModule
    artefact: Artefact | None
    stored: ImageRef | None
    present: Endpoint | None
    begin: float = field(default_factory=time.monotonic)
    built: BuiltImage | None = None
    image: ImageRef | None = None
    artefact_uri: str | None = None
    deed: str = ""
    endpoint: EndpointSpec | None = None

    def build(self, reporter: Reporter) -> Done:
        self.built = self.builder.builder.build(self.wanted.spec, reporter)
        return Done(words.size(self.built.size), reused=self.built.reused)

    def try_out(self, reporter: Reporter) -> Done:
        assert self.built is not None
        serverless = self.compute.memory if isinstance(self.compute, Serverless) else None
        report = smoke_test(
            ContainerSpec(
                self.built.reference,
                self.request.config.name,
                model=str(self.artefact.folder) if self.artefact else None,
                environment=self._environment(),
                serverless_mb=serverless,
            ),
            reporter,
            module=self.module if self.generated else None,
        )
        for finding in report.findings:
            reporter.log(str(finding))
        answered = f", answered in {words.duration(report.answer_s)}" if report.answer else ""
        return Done(f"ready in {words.duration(report.ready_s)}{answered}")

    def push(self, reporter: Reporter) -> Done:
        repository, notes = ecr.ensure_repository(self.session, self.names)
        for note in notes:
            reporter.log(note)
        assert self.built is not None
        tokens = ecr.EcrCredentials(self.session)
        given: list[ecr.Credentials] = []

        def credentials() -> Credentials:
            # The registry asks again when it has refused what it was given.
            given.append(tokens.renew(given[-1]) if given else tokens.get())
            return Credentials(given[-1].username, given[-1].password)

        self.image = self.builder.builder.push(
            self.built, Destination(repository.uri, credentials), reporter
        )
        return Done(f"{words.size(self.image.size)} compressed")

    def upload(self, reporter: Reporter) -> Done:
        assert self.artefact is not None
        server = isinstance(self.compute, Server)
        send = upload.upload_prefix if server else upload.upload_archive
        self.artefact_uri = send(self.session, self.names, self.artefact, reporter)
        return Done(words.size(self.artefact.size))

    def apply(self, reporter: Reporter) -> Done:
        self.endpoint = self.endpoint_spec()
        self.deed = rollout.apply(self.session, self.endpoint, pause=_pause(reporter))
        return Done(f"{self.deed}, version {self.endpoint.version}", self.deed == "unchanged")

    def wait(self, reporter: Reporter) -> Done:
        assert self.endpoint is not None
        return _wait(self.session, self.endpoint.name, self.endpoint.resource, self.begin, reporter)

    def scale(self, reporter: Reporter) -> Done:
        wanted = self.compute.autoscaling if isinstance(self.compute, Server) else None
        return Done(autoscaling.ensure(self.session, self.request.config.name, wanted))

    def endpoint_spec(self) -> EndpointSpec:
        """The endpoint as it shall be, of an image that is there."""
        image = self.image or self.stored
        assert image is not None
        return _endpoint_spec(
            self.request.config,
            image.pinned,
            self.role_arn,
            self.compute,
            self.artefact_uri or self.request.config.s3_artefact,
            self.artefact.digest if self.artefact else "",
            self._environment(),
        )

    @property
    def generated(self) -> bool:
        """Whether the image has our server in it."""
        return isinstance(self.wanted.spec, BuildSpec)

    def _environment(self) -> dict[str, str]:
        return container_environment(self.request.config, self.generated)

    def result(self) -> Deployment:
        assert self.endpoint is not None
        config = self.request.config
        self.request.code.deployed(config.name)
        return Deployment(
            name=config.name,
            endpoint_type=self.request.endpoint_type,
            version=self.endpoint.version,
            url="",
            token="",
            origin=self.module.origin,
            seconds=time.monotonic() - self.begin,
            unchanged=self.deed == "unchanged",
        )

    def steps(self) -> tuple[Step, ...]:
        found: list[Step] = []
        if self.stored is None:
            found.append(Step("build", "Build the image", self.build))
            ready = ("build",)
            if self.builder.in_engine and self.request.smoke_test:
                found.append(Step("try", "Try the image", self.try_out, ready))
                ready = ("try",)
            found.append(Step("push", "Push the image", self.push, ready))
        if self.artefact is not None:
            found.append(Step("upload", "Upload the model", self.upload))
        before = tuple(step.key for step in found)
        done = self.present.status if self.present else ""
        verb = "Update" if done == "InService" else "Create"
        found.append(Step("endpoint", f"{verb} the endpoint", self.apply, before))
        found.append(Step("wait", "Wait until it is InService", self.wait, ("endpoint",)))
        if isinstance(self.compute, Server):
            found.append(Step("scale", "Set up autoscaling", self.scale, ("wait",)))
        return tuple(found)


def _wait(session: AwsSession, name: str, wanted: str, begin: float, reporter: Reporter) -> Done:
    """Watch an endpoint until it has settled on the endpoint config `wanted`."""
    status = ""
    try:
        for update in rollout.watch(session, name, pause=_pause(reporter)):
            seen = update.endpoint
            now = f"{seen.status} {seen.variant_status}".strip()
            if now != status:
                reporter.log(f"{words.duration(update.elapsed)}: {now}")
                status = now
            ready, desired = seen.instances
            if desired:
                reporter.progress(ready, desired, "instances")
    except DeploymentCancelled:
        raise DeploymentCancelled(
            f"`{name}` is no longer watched; SageMaker goes on with it (it is {status})",
            why="an endpoint that is being created or updated cannot be stopped",
            do=f"`sageturner status {name}` shows how far it is; once it has settled,"
            f" `sageturner delete {name}` removes it",
        ) from None
    rollout.settle(session, update.endpoint, wanted, time.monotonic() - begin)
    return Done(update.endpoint.status)


def _pause(reporter: Reporter) -> Callable[[float], None]:
    def pause(seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            reporter.checkpoint()
            time.sleep(min(left, 0.2))

    return pause


def container_environment(config: Config, generated: bool) -> dict[str, str]:
    """The container's variables: the user's, and for our own server its settings."""
    environment = dict(config.environment)
    if generated and config.serving.model_fields_set:
        serving = config.serving.model_dump(mode="json", exclude_none=True, exclude_unset=True)
        environment["SAGETURNER_SERVING"] = json.dumps(serving, sort_keys=True)
    return environment


def _endpoint_spec(
    config: Config,
    image: str,
    role_arn: str,
    compute: Serverless | Server,
    artefact_uri: str | None,
    artefact_digest: str,
    environment: dict[str, str],
) -> EndpointSpec:
    network = config.network
    return EndpointSpec(
        name=config.name,
        image=image,
        role_arn=role_arn,
        compute=compute,
        artefact_uri=artefact_uri,
        artefact_digest=artefact_digest,
        environment=environment,
        network=Network(network.subnets, network.security_groups, network.isolation),
        kms_key=config.kms_key,
        tags=config.tags,
    )


def compute_of(config: Config, endpoint_type: str) -> Serverless | Server | None:
    """`compute.serverless` or `compute.server`; None where the section is missing."""
    if endpoint_type == "serverless":
        wanted = config.compute.serverless
        if wanted is None:
            return None
        return Serverless(wanted.memory, wanted.max_concurrency, wanted.provisioned_concurrency)
    server = config.compute.server
    if server is None:
        return None
    scaling = server.autoscaling
    return Server(
        instance_type=server.instance_type,
        initial_instance_count=server.initial_instance_count,
        volume_gb=server.volume_gb,
        startup_timeout_s=server.startup_timeout_s,
        download_timeout_s=server.download_timeout_s,
        inference_ami_version=server.inference_ami_version,
        routing=server.routing,
        autoscaling=None
        if scaling is None
        else Autoscaling(scaling.min, scaling.max, float(scaling.invocations_per_instance)),
    )


def plan_sagemaker(request: DeployRequest, reporter: Reporter, workspace: Path) -> Plan:
    """Check everything that an endpoint on SageMaker needs, and say what will be done.

    Raises:
        SageturnerError: All that stands in the way, at once.
    """
    config, found = request.config, Collector()
    found.add(config.check(request.endpoint_type, request.container_mode))
    compute = compute_of(config, request.endpoint_type)
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
    if module and compute:
        instance_type = compute.instance_type if isinstance(compute, Server) else ""
        wanted = found.attempt(
            lambda: wanted_image(request, module, artefact, instance_type, workspace, reporter)
        )
    if wanted:
        found.add(list(wanted.findings))
        builder = found.attempt(lambda: choose_builder(config, wanted.spec))
        if isinstance(compute, Server) and wanted.ami:
            compute = replace(compute, inference_ami_version=wanted.ami)
    role_arn, present = "", None
    if session and where and compute:
        role_arn, present = _account(request, session, where, compute, artefact, found)
    findings = found.finish()
    # Whatever is missing here is a finding, so finish() has raised.
    assert session and where and compute and module and wanted and builder
    stored = ecr.find_image(session, where, tag=wanted.tag, architecture=wanted.architecture)
    work = _Work(
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
    )
    return Plan(
        name=config.name,
        endpoint_type=request.endpoint_type,
        version=wanted.tag.rpartition("-")[2],
        module=module,
        facts=_facts(work),
        findings=findings,
        steps=work.steps(),
        session=nullcontext,
        result=work.result,
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
    _check_spec(request, where, role_arn, compute, found)
    return role_arn, present


def _artefact(
    request: DeployRequest, reporter: Reporter, workspace: Path, found: Collector
) -> Artefact | None:
    config = request.config
    if config.s3_artefact:
        if request.endpoint_type == "serverless" and not config.s3_artefact.endswith(".tar.gz"):
            found.add(
                [
                    Finding(
                        "A serverless endpoint takes its artefact as one .tar.gz",
                        where=config.where("artefact"),
                        why=f"`{config.s3_artefact}` is a prefix",
                        do="pack it as model.tar.gz, or name a local folder",
                    )
                ]
            )
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
        found.add(list(found.attempt(lambda: s3.bucket_findings(session, where)) or ()))
    if uri := request.config.s3_artefact:
        found.add(list(found.attempt(lambda: s3.uri_findings(session, uri, role)) or ()))
    return role.arn if role else where.role_arn


def _check_spec(
    request: DeployRequest,
    where: Names,
    role_arn: str,
    compute: Serverless | Server,
    found: Collector,
) -> None:
    image = f"{where.account}.dkr.ecr.{where.region}.amazonaws.com/{where.repository}"
    found.add(
        list(
            problems(
                _endpoint_spec(
                    request.config,
                    f"{image}@{PLACEHOLDER_DIGEST}",
                    role_arn,
                    compute,
                    request.config.s3_artefact,
                    "",
                    container_environment(request.config, request.container_mode == "generate"),
                )
            )
        )
    )


def _facts(work: _Work) -> tuple[Fact, ...]:
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
        image += f", there already ({words.size(work.stored.size)})"
    else:
        image += f", built with {work.builder.why}"
    artefact = config.s3_artefact or "none"
    if work.artefact:
        artefact = f"{words.size(work.artefact.size)} to bucket {work.names.bucket}"
    hourly = pricing.hourly(work.session, compute)
    cost = "not known" if hourly is None else f"${hourly:.3f} an hour while nobody calls it"
    return (
        Fact("Endpoint", f"{config.name} ({runs}), {deed}"),
        Fact("Account", f"{work.names.account}, {work.names.region}"),
        Fact("Code", work.module.origin),
        Fact("Packages", _packages(work.wanted.spec)),
        Fact("Image", image),
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
    session = aws.open()
    present = our_endpoint(session, name)
    serving = find_version(session, present.config)
    on_instances = serving is not None and isinstance(serving.compute, Server)
    endpoint_type: EndpointType = "server" if on_instances else "serverless"
    begin = time.monotonic()
    target: list[Version] = []

    def switch(reporter: Reporter) -> Done:
        target.append(rollout.rollback(session, name, version, pause=_pause(reporter)))
        return Done(f"from {present.version} to {target[0].version}")

    def wait(reporter: Reporter) -> Done:
        return _wait(session, name, target[0].resource, begin, reporter)

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
        session=nullcontext,
        result=lambda: Deployment(
            name=name,
            endpoint_type=endpoint_type,
            version=target[0].version,
            url="",
            token="",
            origin=f"version {target[0].version}",
            seconds=time.monotonic() - begin,
        ),
    )
