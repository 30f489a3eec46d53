"""What an endpoint's image is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from sageturner_magic.capture import prepare_artefact
from sageturner_magic.deployment.packages import (
    PYTORCH,
    package_lines,
    pip_arguments,
    python_version,
    resolved,
)
from sageturner_magic.deployment.request import DeployRequest
from sageturner_magic.errors import EndpointError, Finding, ImageError
from sageturner_magic.image import dockerfile
from sageturner_magic.image.choice import Choice, choose
from sageturner_magic.image.context import image_tag, provided
from sageturner_magic.image.engine import connect
from sageturner_magic.image.gpu import (
    BaseImage,
    ComputeTarget,
    Decision,
    Package,
    Replacement,
    explain,
    fit,
)
from sageturner_magic.image.layers_builder import LayersBuilder
from sageturner_magic.image.pip_arguments import PipArguments
from sageturner_magic.image.requirements import Architecture, Requirements, Target
from sageturner_magic.image.resolution import resolve, server_arguments
from sageturner_magic.image.spec import BuildSpec, ProvidedSpec, Spec, SystemCuda
from sageturner_magic.image.urls import Location
from sageturner_magic.targets.container import sandbox
from sageturner_magic.values import Artefact, CapturedModule, Reporter


@dataclass(frozen=True)
class WantedImage:
    """An image that is not built yet.

    Attributes:
        tag: `<name>-<12 hex of the build's inputs>`.
        ami: The InferenceAmiVersion that its CUDA needs; empty where the default does.
        findings: What was noticed on the way.
        gpu: Why builds, AMI and base image are what they are; empty without a GPU.
    """

    spec: Spec
    tag: str
    architecture: Architecture
    ami: str
    findings: tuple[Finding, ...]
    gpu: str = ""


def wanted_image(
    request: DeployRequest,
    module: CapturedModule,
    artefact: Artefact | None,
    instance_type: str,
    reporter: Reporter,
) -> WantedImage:
    """Decide what the image is made of: architecture, packages to exact files, base.

    Args:
        instance_type: Empty for serverless.

    Raises:
        ImageError: It cannot be made, or would not start on that instance.
        CaptureError: Packages that no installer can get.
    """
    config = request.config
    server = config.compute.server if request.endpoint_type == "server" else None
    target = ComputeTarget(
        request.endpoint_type,
        instance_type,
        (server.inference_ami_version or "") if server else "",
        config.container.generate_container.install_cuda,
        artefact.size if artefact else None,
    )
    python = python_version(request)
    architecture = _decided([], target, python)[0].architecture
    if request.container_mode == "provide":
        assert config.docker_dir is not None
        own = ProvidedSpec(config.name, config.docker_dir, architecture)
        return WantedImage(own, provided(own).tag, architecture, "", ())
    lines = package_lines(config, module, artefact)
    platform = Target(python, architecture)
    arguments = pip_arguments(config, lines)
    requirements = resolved(arguments, platform, reporter)
    decision, findings = _decided(_packages(requirements, lines), target, python)
    if decision.replacements:
        requirements, notes = _other_builds(arguments, decision, requirements, reporter)
        findings += notes
    generate = config.container.generate_container
    spec = BuildSpec(
        name=config.name,
        module=module,
        requirements=requirements,
        server_requirements=resolve(server_arguments(), platform, reporter),
        base_image=generate.base_image or "",
        system_packages=generate.system_packages,
        environment=dict(decision.environment),
        cuda=None if generate.base_image else _system_cuda(decision.base),
    )
    gpu = explain(decision) if decision.gpu else ""
    return WantedImage(spec, image_tag(spec), architecture, decision.ami, findings, gpu)


def _system_cuda(base: BaseImage) -> SystemCuda | None:
    if base.cuda is None:
        return None
    version = ".".join(map(str, base.cuda))
    return SystemCuda(base.reference, version, "compile" if base.kind == "cuda-devel" else "run")


def preview_dockerfile(request: DeployRequest, reporter: Reporter, workspace: Path) -> str:
    """What an image would be built from, without an account to push it to.

    Raises:
        SageturnerError: The code, the artefact or the packages cannot be shipped.
    """
    config, server = request.config, request.config.compute.server
    artefact = None
    if config.s3_artefact is None:
        artefact = prepare_artefact(
            config.artefact, config.resolve("."), request.namespace, workspace, reporter
        )
    module, _ = request.code.module()
    instance_type = server.instance_type if server and request.endpoint_type == "server" else ""
    wanted = wanted_image(request, module, artefact, instance_type, reporter)
    return dockerfile_of(wanted.spec)


def dockerfile_of(spec: Spec) -> str:
    """What an image is built from: the user's own Dockerfile, or the generated one."""
    if isinstance(spec, ProvidedSpec):
        return (spec.folder / "Dockerfile").read_text(encoding="utf-8")
    return dockerfile.render(spec)


def _decided(
    packages: list[Package], target: ComputeTarget, python: str
) -> tuple[Decision, tuple[Finding, ...]]:
    fitted = fit(packages, target, python)
    if fitted.decision is None:
        raise ImageError.of(each for each in fitted.findings if each.severity == "error")
    return fitted.decision, fitted.findings


def _packages(requirements: Requirements, lines: tuple[str, ...]) -> list[Package]:
    def entry(name: str) -> str:
        return next((line for line in lines if name in line.lower()), "")

    return [
        Package(each.name, each.version, index=each.index, entry=entry(each.name))
        for each in requirements.packages
    ]


def _other_builds(
    arguments: PipArguments, decision: Decision, plain: Requirements, reporter: Reporter
) -> tuple[Requirements, tuple[Finding, ...]]:
    """`plain` resolved again with the builds that suit the instance, and what to say of it."""
    replaced = {canonicalize_name(each.package) for each in decision.replacements}
    kept = [text for text in arguments.requirements if _name_of(text) not in replaced]
    wanted = [_requirement(each) for each in decision.replacements if each.requirement]
    indexes = {each.index: Location.parse(each.index) for each in decision.replacements}
    indexes.pop("", None)
    changed = replace(arguments, requirements=(*kept, *wanted))
    note = Finding(explain(decision).rstrip("."), severity="note")
    # Without the frameworks' own index, one that this machine is configured for may have them.
    for extra in (tuple(indexes.values()), ()):
        try:
            with_index = replace(changed, extra_indexes=(*arguments.extra_indexes, *extra))
            return resolve(with_index, plain.target, reporter), (note,)
        except ImageError as error:
            problem = error
    return plain, (
        Finding(
            f"The builds without a GPU could not be had: {', '.join(wanted)}",
            why=problem.findings[0].what,
            do="name an index that has them under `python_packages`",
            severity="warning",
        ),
    )


def _requirement(wanted: Replacement) -> str:
    # PyTorch's own indexes tell their builds apart by the local version.
    if urlsplit(wanted.index).hostname == PYTORCH:
        return f"{wanted.requirement}+{wanted.variant}"
    return wanted.requirement


def _name_of(requirement: str) -> str:
    try:
        return canonicalize_name(Requirement(requirement).name)
    except InvalidRequirement:
        return ""


def ready_builder(request: DeployRequest, spec: Spec, reporter: Reporter) -> Choice:
    """The builder for `spec`, after seeing that it can make it here.

    Its engine answers, where it needs one; source distributions become wheels, where it does not.

    Raises:
        ImageError: No builder can make the image here.
    """
    choice = choose(request.config.container.generate_container.builder, spec)
    if choice.name == "docker":
        connect().close()
    if isinstance(choice.builder, LayersBuilder) and isinstance(spec, BuildSpec):
        choice.builder.with_wheels(spec, reporter)
    return choice


def untried(choice: Choice, spec: Spec) -> tuple[Finding, ...]:
    """A note with the reason, where the image cannot be tried on this machine."""
    if choice.name == "docker":
        return ()
    if spec.architecture != sandbox.architecture():
        why = f"it is for {spec.architecture} and this machine is not"
    else:
        try:
            sandbox.require()
            return ()
        except EndpointError as error:
            why = error.findings[0].why
    note = "The image is not tried before it is pushed"
    return (Finding(note, why=f"there is no Docker engine for it, and {why}", severity="note"),)
