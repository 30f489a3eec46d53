"""Specify the image of an endpoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from sageturner_magic import image
from sageturner_magic.config import Config
from sageturner_magic.constants import Architecture
from sageturner_magic.deployment.image_packages import PYTORCH
from sageturner_magic.deployment.ingredients import Ingredients, gather_for_image
from sageturner_magic.deployment.request import Collector, DeployRequest
from sageturner_magic.errors import Finding, ImageError
from sageturner_magic.gpu import (
    ComputeTarget,
    Decision,
    ImageBase,
    Replacement,
    ResolvedPackage,
    explain,
    fit,
)
from sageturner_magic.image import BuildSpec, ProvidedSpec, Spec, SystemCuda, image_tag
from sageturner_magic.packages import (
    Location,
    PipArguments,
    Requirements,
    Target,
    resolve,
    server_arguments,
)
from sageturner_magic.packages.needed import NeededPackage
from sageturner_magic.values import Reporter


@dataclass(frozen=True)
class WantedImage:
    """An image that is not built yet.

    Attributes:
        tag: `<name>-<12 hex of the build's inputs>`.
        ami: The InferenceAmiVersion that its CUDA needs; empty for SageMaker's default.
        findings: Warnings and notes from the decisions.
        gpu: Why builds, AMI and base image were chosen; empty without a GPU.
    """

    spec: Spec
    tag: str
    ami: str = ""
    findings: tuple[Finding, ...] = ()
    gpu: str = ""

    @property
    def generated(self) -> bool:
        """Whether the image has our model server, and not one of the user's own."""
        return isinstance(self.spec, BuildSpec)

    @property
    def requirements(self) -> Requirements | None:
        """The model's packages; None if the user's own Dockerfile installs them."""
        return self.spec.requirements if isinstance(self.spec, BuildSpec) else None


def local_image(
    ingredients: Ingredients, architecture: Architecture, reporter: Reporter
) -> WantedImage:
    """The image for a container on this machine, without regard to any instance's GPU.

    Raises:
        ImageError: It cannot be made.
        CaptureError: Packages that no installer can get.
    """
    if ingredients.request.container_mode == "provide":
        own = _provided(ingredients.config, architecture)
        return WantedImage(own, image_tag(own))
    platform = Target(ingredients.python_version, architecture)
    requirements = ingredients.requirements(platform, reporter)
    spec = _generated(ingredients, requirements, reporter)
    return WantedImage(spec, image_tag(spec))


def sagemaker_image(
    ingredients: Ingredients, instance_type: str, reporter: Reporter
) -> WantedImage:
    """Decide what the image is made of: architecture, packages to exact files, base.

    Args:
        instance_type: Empty for serverless.

    Raises:
        ImageError: It cannot be made, or would not start on that instance.
        CaptureError: Packages that no installer can get.
    """
    request, config, artefact = ingredients.request, ingredients.config, ingredients.artefact
    server = config.compute.server if request.endpoint_type == "server" else None
    generate = config.container.generate_container
    # On a serverless endpoint `Config.check` has refused CUDA already.
    cuda_wanted = request.container_mode == "generate" and generate.install_cuda
    target = ComputeTarget(
        request.endpoint_type,
        instance_type,
        (server.inference_ami_version or "") if server else "",
        cuda_wanted and request.endpoint_type != "serverless",
        artefact.size if artefact else None,
    )
    python = ingredients.python_version
    architecture = _decided([], target, python)[0].architecture
    if request.container_mode == "provide":
        own = _provided(config, architecture)
        return WantedImage(own, image_tag(own))
    requirements = ingredients.requirements(Target(python, architecture), reporter)
    packages = _packages(requirements, ingredients.package_lines)
    decision, findings = _decided(packages, target, python)
    if decision.replacements:
        arguments = ingredients.pip_arguments
        requirements, notes = _other_builds(arguments, decision, requirements, reporter)
        findings += notes
    spec = _generated(ingredients, requirements, reporter)
    cuda = None if spec.base_image else _system_cuda(decision.base)
    spec = replace(spec, environment=dict(decision.environment), cuda=cuda)
    gpu = explain(decision) if decision.gpu else ""
    return WantedImage(spec, image_tag(spec), decision.ami, findings, gpu)


def _provided(config: Config, architecture: Architecture) -> ProvidedSpec:
    assert config.docker_dir is not None
    return ProvidedSpec(config.name, config.docker_dir, architecture)


def _generated(
    ingredients: Ingredients, requirements: Requirements, reporter: Reporter
) -> BuildSpec:
    generate = ingredients.config.container.generate_container
    return BuildSpec(
        name=ingredients.config.name,
        module=ingredients.module,
        requirements=requirements,
        server_requirements=resolve(server_arguments(), requirements.target, reporter),
        base_image=generate.base_image or "",
        system_packages=generate.system_packages,
    )


def _system_cuda(base: ImageBase) -> SystemCuda | None:
    if base.cuda is None:
        return None
    version = ".".join(map(str, base.cuda))
    return SystemCuda(base.reference, version, "compile" if base.kind == "cuda-devel" else "run")


def preview_dockerfile(request: DeployRequest, reporter: Reporter, workspace: Path) -> str:
    """The Dockerfile of a request's image, without an account to push the image to.

    Raises:
        SageturnerError: The code, the artefact or the packages cannot be shipped.
    """
    server = request.config.compute.server
    instance_type = server.instance_type if server and request.endpoint_type == "server" else ""
    ingredients = _of_image(request, reporter, workspace)
    return dockerfile_of(sagemaker_image(ingredients, instance_type, reporter).spec)


def automatic_packages(
    request: DeployRequest, reporter: Reporter, workspace: Path
) -> tuple[NeededPackage, ...]:
    """The packages that `python_packages: auto` stands for.

    Raises:
        SageturnerError: The code or the artefact cannot be shipped, or no installer can get what
            they need.
    """
    return _of_image(request, reporter, workspace).needed_packages


def _of_image(request: DeployRequest, reporter: Reporter, workspace: Path) -> Ingredients:
    found = Collector(request.config)
    return found.require(gather_for_image(request, workspace, reporter, found))


def dockerfile_of(spec: Spec) -> str:
    """What an image is built from: the user's own Dockerfile, or the generated one."""
    if isinstance(spec, ProvidedSpec):
        return (spec.folder / "Dockerfile").read_text(encoding="utf-8")
    return image.render_dockerfile(spec)


def packages_text(spec: Spec) -> str:
    """The packages that were asked for, with their versions."""
    if isinstance(spec, ProvidedSpec):
        return "those of your Dockerfile"
    direct = [f"{each.name} {each.version}" for each in spec.requirements.packages if each.direct]
    return ", ".join(direct) or "none"


def _decided(
    packages: list[ResolvedPackage], target: ComputeTarget, python: str
) -> tuple[Decision, tuple[Finding, ...]]:
    fitted = fit(packages, target, python)
    if fitted.decision is None:
        raise ImageError.of(each for each in fitted.findings if each.severity == "error")
    return fitted.decision, fitted.findings


def _packages(requirements: Requirements, lines: tuple[str, ...]) -> list[ResolvedPackage]:
    def entry(name: str) -> str:
        return next((line for line in lines if name in line.lower()), "")

    return [
        ResolvedPackage(each.name, each.version, index=each.index, entry=entry(each.name))
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
            f"No index has the builds without a GPU: {', '.join(wanted)}",
            why=problem.findings[0].what,
            do="name an index that has them under `python_packages`",
            severity="warning",
            code="ST61",
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
