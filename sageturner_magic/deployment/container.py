"""The plan of a local endpoint whose model runs in a container."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sageturner_magic.capture import check_module, prepare_artefact
from sageturner_magic.deployment.events import Deployment
from sageturner_magic.deployment.local import deployment_of
from sageturner_magic.deployment.packages import (
    package_lines,
    pip_arguments,
    python_version,
    resolved,
)
from sageturner_magic.deployment.plan import Done, Fact, Plan, Step
from sageturner_magic.deployment.request import Collector, DeployRequest, NotebookCode
from sageturner_magic.deployment.trial import trial_step
from sageturner_magic.errors import EndpointError, Finding
from sageturner_magic.image import context
from sageturner_magic.image.docker_builder import DockerBuilder
from sageturner_magic.image.layers_builder import LayersBuilder, refuse_what_needs_docker
from sageturner_magic.image.requirements import Architecture, Target
from sageturner_magic.image.resolution import resolve, server_arguments
from sageturner_magic.image.spec import BuildSpec, BuiltImage, ProvidedSpec, Spec
from sageturner_magic.targets.container import sandbox
from sageturner_magic.targets.container.deploy import ContainerDeployer, ServedByContainer
from sageturner_magic.targets.container.runner import local_engine
from sageturner_magic.targets.local import LocalRecord, LocalState
from sageturner_magic.text import artefact_text, nearby, size
from sageturner_magic.values import Artefact, CapturedModule, Reporter, UnpackedImage


def plan_container(request: DeployRequest, reporter: Reporter, workspace: Path) -> Plan:
    """Check everything that a local container needs, and say what will be done.

    Raises:
        SageturnerError: All that stands in the way, at once.
    """
    config = request.config
    found = Collector()
    found.add(config.check(request.endpoint_type, request.container_mode))
    way = found.attempt(lambda: _way(request))
    captured = found.attempt(request.code.module)
    artefact = found.attempt(
        lambda: prepare_artefact(
            config.artefact, config.resolve("."), request.namespace, workspace, reporter
        )
    )
    reporter.checkpoint()
    built: tuple[Spec, str] | None = None
    if captured is not None:
        module, notes = captured
        found.add(notes)
        found.add(_remarks(request))
        if isinstance(request.code, NotebookCode):
            # The kernel has what its cells import, so what fails here would fail in the image.
            found.attempt(lambda: check_module(module, request.python, reporter))
        built = found.attempt(lambda: _spec(request, module, artefact, way or _UNKNOWN, reporter))
    findings = found.finish()
    assert captured is not None and built is not None and way is not None
    return _plan(request, captured[0], artefact, way, *built, findings, reporter)


@dataclass(frozen=True)
class _Way:
    """How containers are run here.

    Attributes:
        builder: Makes images for it: layers are unpacked and run without an engine.
        architecture: Of the images that it runs.
        reason: Why not by a Docker engine; empty where that does.
    """

    builder: DockerBuilder | LayersBuilder
    architecture: Architecture
    reason: str = ""


_UNKNOWN = _Way(DockerBuilder(), "amd64")
"""Stands in for the way where there is none, to find what else is wrong."""


def _way(request: DeployRequest) -> _Way:
    """A Docker engine where one answers, else this machine's own namespaces.

    Raises EndpointError where neither can be had.
    """
    provided = request.container_mode == "provide"
    setting = "docker" if provided else request.config.container.generate_container.builder
    missing: tuple[Finding, ...] = ()
    if setting != "layers":
        try:
            arm = local_engine().version()["Arch"] in ("arm64", "aarch64")
            return _Way(DockerBuilder(), "arm64" if arm else "amd64")
        except EndpointError as error:
            if setting == "docker":
                raise
            missing = error.findings
    try:
        sandbox.require()
    except EndpointError as error:
        raise EndpointError.of([*missing, *error.findings]) from None
    reason = "no Docker engine answers" if missing else "`builder: layers` asks for it"
    return _Way(LayersBuilder(), sandbox.architecture(), reason)


def _spec(
    request: DeployRequest,
    module: CapturedModule,
    artefact: Artefact | None,
    way: _Way,
    reporter: Reporter,
) -> tuple[Spec, str]:
    """What is built, and the tag that it will have. Raises ImageError."""
    config = request.config
    if request.container_mode == "provide":
        assert config.docker_dir is not None
        provided = ProvidedSpec(config.name, config.docker_dir, way.architecture)
        return provided, context.provided(provided).tag
    generate = config.container.generate_container
    target = Target(python_version(request), way.architecture)
    lines = package_lines(config, module, artefact)
    spec = BuildSpec(
        name=config.name,
        module=module,
        requirements=resolved(pip_arguments(config, lines), target, reporter),
        server_requirements=resolve(server_arguments(), target, reporter),
        base_image=generate.base_image or "",
        system_packages=generate.system_packages,
    )
    if isinstance(way.builder, LayersBuilder):
        refuse_what_needs_docker(spec)
        way.builder.with_wheels(spec, reporter)
    return spec, context.image_tag(spec)


def _plan(
    request: DeployRequest,
    module: CapturedModule,
    artefact: Artefact | None,
    way: _Way,
    spec: Spec,
    image_tag: str,
    findings: tuple[Finding, ...],
    reporter: Reporter,
) -> Plan:
    config = request.config
    generated = isinstance(spec, BuildSpec)
    serverless = config.compute.serverless
    endpoint = ServedByContainer(
        name=config.name,
        module=module,
        image_tag=image_tag,
        artefact=artefact,
        serving=(config.serving.model_dump(mode="json", exclude_none=True) if generated else None),
        environment=config.environment,
        serverless_mb=serverless.memory if serverless else None,
        tied=not request.detach,
        startup_timeout_s=config.compute.local.startup_timeout_s,
    )
    state = LocalState()
    deployer = ContainerDeployer(endpoint, state)
    running = deployer.running()
    before = state.read(config.name)
    replaced = before is not None and not running
    built: list[BuiltImage] = []
    unpacked: list[UnpackedImage] = []
    records: list[LocalRecord] = [running] if running else []

    def build(reporter: Reporter) -> Done:
        built.append(way.builder.build(spec, reporter))
        return Done(f"{image_tag}, {size(built[0].size)}", reused=built[0].reused)

    def unpack(reporter: Reporter) -> Done:
        assert isinstance(way.builder, LayersBuilder)
        unpacked.append(way.builder.unpack(built[0], reporter))
        return Done()

    def start(reporter: Reporter) -> Done:
        if unpacked:
            return Done(deployer.start(image_tag, reporter, unpacked[0]))
        return Done(deployer.start(built[0].reference, reporter))

    def switch(reporter: Reporter) -> Done:
        records.append(deployer.switch(reporter))
        return Done(records[0].url)

    def result() -> Deployment:
        record = records[0]
        request.code.deployed(config.name)
        return deployment_of(record, unchanged=running is not None)

    def step(work: Callable[[Reporter], str]) -> Callable[[Reporter], Done]:
        return lambda reporter: Done(work(reporter))

    def try_code(reporter: Reporter) -> Done:
        return trial_step(request, module, artefact, reporter)[0]

    builder = way.builder
    engineless = isinstance(builder, LayersBuilder)
    image = "unpack" if engineless else "build"
    tried = generated and request.smoke_test
    steps = (
        *((Step("trial", "Try the code", try_code),) if tried else ()),
        Step("build", "Build the image", build, needs=("trial",) if tried else ()),
        *([Step("unpack", "Unpack the image", unpack, needs=("build",))] if engineless else []),
        Step("write", "Write the model", step(deployer.write)),
        Step("start", "Start the container", start, needs=(image, "write")),
        Step("load", "Load the model", step(deployer.load), needs=("start",)),
        Step("switch", "Switch over", switch, needs=("load",)),
    )
    return Plan(
        name=config.name,
        endpoint_type="local",
        version=deployer.version,
        module=module,
        facts=(
            Fact("Endpoint", f"{config.name} (local, a container of this machine)"),
            *([Fact("Runs", f"without Docker, because {way.reason}")] if engineless else []),
            Fact("Code", nearby(module.origin)),
            Fact("Artefact", artefact_text(artefact)),
            *_image_facts(spec, image_tag),
            Fact("Limits", _limits(endpoint.serverless_mb, engineless)),
            Fact("Access", _access(generated, replaced)),
            Fact("Cost", "none"),
            Fact("Version", f"{deployer.version}{', already running' if running else ''}"),
        ),
        findings=findings,
        steps=() if running else steps,
        lock=deployer.lock,
        result=result,
        look_up_layers=(
            (lambda: builder.planned(spec, None, reporter))
            if isinstance(builder, LayersBuilder) and not running
            else tuple
        ),
        artefact=artefact,
        requirements=spec.requirements if isinstance(spec, BuildSpec) else None,
        expected_s=before.seconds if before else None,
    )


def _image_facts(spec: Spec, image_tag: str) -> tuple[Fact, ...]:
    if isinstance(spec, ProvidedSpec):
        return (Fact("Image", f"{image_tag}, from {spec.folder / 'Dockerfile'}"),)
    packages = [package for package in spec.requirements.packages if package.direct]
    return (
        Fact("Image", f"{image_tag}, on {spec.base}"),
        Fact("Python", spec.target.python_version),
        Fact(
            "Packages",
            ", ".join(f"{package.name} {package.version}" for package in packages) or "none",
        ),
    )


def _limits(serverless_mb: int | None, engineless: bool) -> str:
    if serverless_mb is None and engineless:
        return f"{', '.join(sandbox.WRITABLE)} and the program's folder can be written, no more"
    if serverless_mb is None:
        return "none, as on an instance"
    limits = f"{serverless_mb} MB, read-only files, no root, as a serverless endpoint"
    if engineless:
        limits += f" (memory is looked at every {sandbox.MEMORY_SECONDS:g} s; /tmp is not limited)"
    return limits


def _access(generated: bool, replaced: bool) -> str:
    text = "127.0.0.1 only, with a token" if generated else "127.0.0.1 only, without a token"
    # Docker cannot hand a published port from one container to the next.
    return f"{text}; the port changes" if replaced else text


def _remarks(request: DeployRequest) -> list[Finding]:
    generate = request.config.container.generate_container
    if request.container_mode == "provide" or not generate.install_cuda:
        return []
    return [
        Finding(
            "The local container has no GPU",
            why="`install_cuda` is for GPU instances; the model runs on the CPU here",
            where=request.config.where("container.generate_container.install_cuda"),
            severity="note",
        )
    ]
