"""Decide the fit of a resolution and a target, with reasons or with findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sageturner_magic.errors import Finding
from sageturner_magic.gpu import facts, findings
from sageturner_magic.gpu.choose import ChosenBuilds, Fitness, Setup, best, judge
from sageturner_magic.gpu.frameworks import (
    BOUND_TO_TORCH,
    Option,
    Resolution,
    cpu_build,
    cuda_bytes,
    dotted,
    gpu_options,
    label,
    pinned,
)
from sageturner_magic.gpu.instances import Machine, machine_of
from sageturner_magic.gpu.values import (
    BaseKind,
    ComputeTarget,
    Cuda,
    Decision,
    Fit,
    ImageBase,
    Replacement,
    ResolvedPackage,
)

_NO_WHEELS = ("flash-attn",)
_COMPILED_WITH_CUDA = (*BOUND_TO_TORCH, "bitsandbytes", "cupy", "apex", "deepspeed", "mamba-ssm")

_Options = Mapping[str, Sequence[Option]]


def fit(packages: Iterable[ResolvedPackage], target: ComputeTarget, python: str) -> Fit:
    """Choose builds, AMI and base image that start together, or say why none do.

    Args:
        packages: The whole resolution for the target's platform.
        target: Where the model is to run.
        python: The image's Python (`3.12`).
    """
    machine = _machine(target)
    if machine.accelerator:
        return Fit(None, (findings.not_cuda(machine),))
    if target.endpoint_type == "serverless" and target.install_cuda:
        return Fit(None, (findings.no_serverless_gpu(),))
    world = Resolution.of(packages, machine.architecture, python)
    if machine.gpu and target.install_cuda:
        decision, found = _on_gpu(world, machine, machine.gpu, target)
    else:
        decision, found = _on_cpu(world, machine, target)
    found += findings.unused_indexes(world)
    order = ("error", "warning", "note")
    ranked = tuple(sorted(found, key=lambda finding: order.index(finding.severity)))
    failed = any(finding.severity == "error" for finding in ranked)
    return Fit(None if failed else decision, ranked)


def _machine(target: ComputeTarget) -> Machine:
    if target.endpoint_type == "server":
        return machine_of(target.instance_type)
    return Machine(f"a {target.endpoint_type} endpoint")


def _architecture_reason(machine: Machine) -> list[str]:
    if machine.architecture == "amd64":
        return []
    return [f"{machine.name} has arm64 processors, so image and wheels are for arm64"]


def _on_cpu(
    world: Resolution, machine: Machine, target: ComputeTarget
) -> tuple[Decision, list[Finding]]:
    found = findings.unused_settings(machine, target)
    replacements: list[Replacement] = []
    reasons = _architecture_reason(machine)
    saved = 0
    why = "install_cuda is false" if machine.gpu else f"{machine.name} has no GPU"
    for name, package in world.packages.items():
        build = cpu_build(world, name)
        if build is None:
            found.append(findings.gpu_only(machine, package))
        elif build and pinned(package):
            found.append(findings.pinned_to_cuda(machine, package, cuda_bytes(world, name)))
        elif build:
            replacements += build
            spared = cuda_bytes(world, name)
            saved += spared
            size = f", {findings.gigabytes(spared)} less to build and pull" if spared else ""
            reasons.append(f"{label(package)} is taken as its CPU build{size}, because {why}")
    decision = Decision(
        machine.architecture,
        replacements=tuple(replacements),
        saved_bytes=saved,
        reasons=tuple(reasons),
    )
    return decision, found


def _on_gpu(
    world: Resolution, machine: Machine, gpu: facts.Family, target: ComputeTarget
) -> tuple[Decision, list[Finding]]:
    options = gpu_options(world)
    chosen = best(options, gpu, target.ami)
    found = [
        *findings.misfits(world, machine, gpu, target, options, chosen),
        *findings.several_system_cudas(chosen),
        *findings.configured_ami(machine, gpu, target),
        *findings.doubts(machine, target, chosen),
        *findings.idle_gpu(world, machine, chosen),
        *findings.memory(machine, gpu, target),
    ]
    replacements = tuple(
        replacement for option in chosen.options.values() for replacement in option.replacements
    )
    reasons = (*_architecture_reason(machine), *_reasons(machine, gpu, target, options, chosen))
    needs = tuple(option.need for option in chosen.options.values())
    if not any(need.cuda for need in needs):
        return Decision(
            machine.architecture, replacements=replacements, needs=needs, reasons=reasons
        ), found
    base, base_reason = _base(world, chosen)
    decision = Decision(
        machine.architecture,
        gpu=gpu.gpu or "GPU",
        ami=chosen.setup.ami,
        driver=chosen.setup.driver,
        base=base,
        environment=facts.GPU_ENVIRONMENT,
        replacements=replacements,
        needs=needs,
        reasons=(*reasons, base_reason),
    )
    return decision, found


def _reasons(
    machine: Machine,
    gpu: facts.Family,
    target: ComputeTarget,
    options: _Options,
    chosen: ChosenBuilds,
) -> list[str]:
    reasons = []
    for name, option in chosen.options.items():
        cuda = option.need.cuda
        if cuda is None:
            continue
        framework = findings.short(option)
        resolved = options[name][0]
        if option is not resolved:
            why = judge(resolved, gpu, chosen.setup).why or "the resolved build uses no GPU"
            reasons.append(
                f"{framework} is taken as {option.need.variant} (CUDA {dotted(cuda)}), "
                f"because {why}"
            )
        elif option.replacements:
            extras = option.replacements[0].variant.split(",")
            reasons.append(
                f"{framework} gets the {'extra' if len(extras) == 1 else 'extras'} "
                f"{' and '.join(extras)}, which {'brings' if len(extras) == 1 else 'bring'} "
                f"CUDA {cuda[0]}"
            )
        driver = _driver_reason(machine, gpu, target, option, chosen.setup)
        reasons.append(f"{framework} needs CUDA {cuda[0]}{driver}")
    return reasons


def _driver_reason(
    machine: Machine, gpu: facts.Family, target: ComputeTarget, option: Option, setup: Setup
) -> str:
    driver = f" (driver {setup.driver})" if setup.driver else ""
    if target.ami:
        return f": the endpoint uses {setup.ami}{driver}, as configured"
    by_default = judge(option, gpu, Setup("", gpu.default_driver)).verdict
    if not setup.ami:
        if gpu.default_driver:
            return f", which {machine.name}'s default driver {gpu.default_driver} runs"
        if by_default == Fitness.FITS:
            return f", which every driver that knows the {gpu.gpu} runs"
        return f": {machine.name} keeps its default AMI, whose driver is not documented"
    if by_default == Fitness.MISFIT:
        return (
            f": {machine.name}'s default driver {gpu.default_driver} cannot run it, so the "
            f"endpoint uses {setup.ami}"
        )
    if by_default == Fitness.UNKNOWN:
        return (
            f": AWS does not document {machine.name}'s default driver, so the endpoint uses "
            f"{setup.ami}{driver}"
        )
    return f", which {setup.ami}{driver} runs as well"


def _base(world: Resolution, chosen: ChosenBuilds) -> tuple[ImageBase, str]:
    """The base image of an image with CUDA, and the reason for it."""
    compiled = [
        package
        for name, package in world.packages.items()
        if name in _NO_WHEELS or (package.from_source and name in _COMPILED_WITH_CUDA)
    ]
    if compiled and (cuda := _cuda_to_compile_with(chosen)):
        base = _cuda_base("cuda-devel", cuda)
        return base, f"{label(compiled[0])} has to be compiled: {_built_on(base)}"
    for option in chosen.options.values():
        if option.system_cuda and option.need.cuda:
            base = _cuda_base("cuda-runtime", option.need.cuda)
            return base, f"{option.need.framework} loads the system's CUDA: {_built_on(base)}"
    return ImageBase(), "CUDA comes with the wheels, so the base image stays slim"


def _cuda_to_compile_with(chosen: ChosenBuilds) -> Cuda | None:
    """Torch's CUDA, whose extensions are what is compiled; else the newest that has an image."""
    torch = chosen.options.get("torch")
    if torch and torch.need.cuda:
        return torch.need.cuda
    needed = [option.need.cuda for option in chosen.options.values() if option.need.cuda]
    majors = {cuda[0] for cuda in facts.CUDA_IMAGES}
    return max((cuda for cuda in needed if cuda[0] in majors), default=max(needed, default=None))


def _built_on(base: ImageBase) -> str:
    return f"CUDA and cuDNN are taken from {base.reference}, which fits the driver"


def _cuda_base(kind: BaseKind, cuda: Cuda) -> ImageBase:
    """NVIDIA's image of a CUDA, or of the next minor version that there is an image of.

    Every driver that runs one minor version of a CUDA runs the others.
    """
    same_major = [known for known in facts.CUDA_IMAGES if known[0] == cuda[0]]
    newest = max(same_major or facts.CUDA_IMAGES)
    version = min((known for known in same_major if known >= cuda), default=newest)
    tag = facts.CUDA_IMAGES[version].format(kind=kind.removeprefix("cuda-"))
    return ImageBase(kind, version, f"{facts.CUDA_IMAGE_REPOSITORY}:{tag}")
