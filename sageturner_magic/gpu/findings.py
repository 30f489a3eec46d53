"""What the fit has to say to the user: errors with a remedy, warnings, notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sageturner_magic.errors import Finding
from sageturner_magic.gpu import facts
from sageturner_magic.gpu.choose import ChosenBuilds, best
from sageturner_magic.gpu.frameworks import Option, Resolution, dotted, gpu_options, label, pinned
from sageturner_magic.gpu.instances import Machine
from sageturner_magic.gpu.metadata import minor_version, public_version
from sageturner_magic.gpu.values import ComputeTarget, ResolvedPackage

_AMI_KEY = "compute.server.inference_ami_version"
_INSTANCE_KEY = "compute.server.instance_type"
_CUDA_KEY = "container.generate_container.install_cuda"
_PACKAGES_KEY = "container.generate_container.python_packages"

_GPU_PACKAGES = {"onnxruntime": "onnxruntime-gpu", "tensorflow-cpu": "tensorflow"}


def not_cuda(machine: Machine) -> Finding:
    """An accelerator that is not NVIDIA's."""
    return Finding(
        f"{machine.name} has {machine.accelerator}, not an NVIDIA GPU",
        "the wheels of PyTorch, TensorFlow, JAX and ONNX Runtime cannot use it; models for it are "
        "compiled with its maker's own toolchain",
        "choose a GPU instance (ml.g5, ml.g6) or one without an accelerator (ml.m5, ml.c6i)",
        _INSTANCE_KEY,
        code="ST78",
    )


def no_serverless_gpu() -> Finding:
    """CUDA asked for on a serverless endpoint."""
    return Finding(
        "install_cuda: true does not go with a serverless endpoint",
        "serverless endpoints have no GPU",
        f"leave {_CUDA_KEY} out, or deploy with --endpoint-type server on a GPU instance",
        _CUDA_KEY,
        code="ST78",
    )


def unused_settings(machine: Machine, target: ComputeTarget) -> list[Finding]:
    """Settings that change nothing for an endpoint without CUDA."""
    found = []
    if machine.gpu:
        found.append(
            Finding(
                f"Nothing will use the GPU of {machine.name}",
                f"{_CUDA_KEY} is false, so the frameworks' CPU builds are installed",
                f"set {_CUDA_KEY} to true, or choose an instance type without a GPU",
                _INSTANCE_KEY,
                "warning",
                code="ST78",
            )
        )
    elif target.install_cuda:
        found.append(
            Finding(
                f"install_cuda: true changes nothing on {machine.name}",
                "it has no GPU, so the frameworks' CPU builds are installed",
                f"leave {_CUDA_KEY} out, or choose an instance type with a GPU",
                _CUDA_KEY,
                "warning" if target.endpoint_type == "server" else "note",
                code="ST78",
            )
        )
    if target.ami:
        found.append(
            Finding(
                f"{target.ami} is left out of the endpoint's configuration",
                "nothing in the image uses a GPU",
                f"leave {_AMI_KEY} out",
                _AMI_KEY,
                "warning" if target.endpoint_type == "server" else "note",
                code="ST78",
            )
        )
    return found


def unused_indexes(world: Resolution) -> list[Finding]:
    """A torch index in the user's entry that did not provide torch."""
    package = world.packages.get("torch")
    if package is None or facts.TORCH_INDEX not in package.entry or pinned(package):
        return []
    return [
        Finding(
            f"{label(package)} does not come from the index in `{package.entry}`",
            "with an extra index the newest version of all indexes is taken, and that index has "
            "an older one",
            "write --index-url in place of --extra-index-url to take torch from there, or leave "
            "the index out: one that fits is chosen",
            _PACKAGES_KEY,
            "note",
        )
    ]


def gpu_only(machine: Machine, package: ResolvedPackage) -> Finding:
    """A package that computes on GPUs only, without one."""
    return Finding(
        f"{label(package)} computes on NVIDIA GPUs only, and {machine.name} offers it none",
        "no CPU build can take its place",
        f"leave it out of {_PACKAGES_KEY}, or use a GPU instance with install_cuda: true",
        _PACKAGES_KEY,
        "warning",
        code="ST78",
    )


def pinned_to_cuda(machine: Machine, package: ResolvedPackage, size: int) -> Finding:
    """A CUDA build that the user's entry asks for, without a GPU."""
    return Finding(
        f"{label(package)} stays a CUDA build ({gigabytes(size)}) that {machine.name} cannot use",
        f"your entry `{package.entry}` asks for it",
        f"{_unpin(package)}: the CPU build is then chosen",
        _PACKAGES_KEY,
        "warning",
        code="ST78",
    )


def misfits(
    world: Resolution,
    machine: Machine,
    gpu: facts.Family,
    target: ComputeTarget,
    options: Mapping[str, Sequence[Option]],
    chosen: ChosenBuilds,
) -> list[Finding]:
    """The frameworks of which no build runs."""
    return [
        Finding(
            f"{short(chosen.options[name])} cannot run on {machine.name}",
            chosen.judgements[name].why,
            _remedy(world, machine, gpu, target, name, options[name]),
            _AMI_KEY if target.ami else _INSTANCE_KEY,
            code="ST78",
        )
        for name in chosen.misfits
    ]


def _remedy(
    world: Resolution,
    machine: Machine,
    gpu: facts.Family,
    target: ComputeTarget,
    name: str,
    builds: Sequence[Option],
) -> str:
    """What would make one framework run, the smallest change first."""
    remedies = []
    if target.ami and not (other := best({name: builds}, gpu, "")).misfits:
        ami = other.setup.ami
        remedies.append(f"set {_AMI_KEY} to {ami}" if ami else f"leave {_AMI_KEY} out")
    package = world.packages[name]
    if pinned(package):
        version = public_version(package.version)
        free = replace(package, version=version, requires=(), index="", entry="")
        freed = Resolution({**world.packages, name: free}, world.architecture, world.python)
        if not best({name: gpu_options(freed)[name]}, gpu, target.ami).misfits:
            remedies.append(f"{_unpin(package)}, so that a build that fits is chosen")
    if name == "torch" and (version := _nearest_torch(machine, gpu, target, package)):
        remedies.append(f"use torch {version}")
    families = [
        f"ml.{family}"
        for family, other_gpu in facts.FAMILIES.items()
        if other_gpu.architecture == machine.architecture
        and family != machine.family
        and best({name: builds}, other_gpu, "").certain
    ]
    if families:
        remedies.append(f"choose an instance of {_either(families)}")
    return ", or ".join(remedies) or f"choose another version of {name}"


def _nearest_torch(
    machine: Machine, gpu: facts.Family, target: ComputeTarget, package: ResolvedPackage
) -> str:
    """The version of torch nearest to `package` with a build that runs, older ones first."""
    if machine.architecture != "amd64":
        return ""
    version = minor_version(package.version)
    older = sorted((known for known in facts.TORCH if known < version), reverse=True)
    newer = sorted(known for known in facts.TORCH if known > version)
    for known in (*older, *newer):
        world = Resolution.of(
            [ResolvedPackage("torch", f"{dotted(known)}.0")], machine.architecture, "3.11"
        )
        if best(gpu_options(world), gpu, target.ami).certain:
            return dotted(known)
    return ""


def several_system_cudas(chosen: ChosenBuilds) -> list[Finding]:
    """Frameworks that load different CUDA majors from a base image, which has one."""
    loading = [option for option in chosen.options.values() if option.system_cuda]
    if len({option.need.cuda and option.need.cuda[0] for option in loading}) < 2:
        return []
    named = " and ".join(
        f"{option.need.framework} (CUDA {option.need.cuda[0]})"
        for option in loading
        if option.need.cuda
    )
    return [
        Finding(
            f"{named} cannot be in one image",
            "each loads another CUDA from the system, and an image has one",
            "choose versions that were built for the same CUDA",
            _PACKAGES_KEY,
            code="ST78",
        )
    ]


def configured_ami(machine: Machine, gpu: facts.Family, target: ComputeTarget) -> list[Finding]:
    """The user's AMI, where it is wrong for the instance or not known to be right."""
    ami = target.ami
    if not ami or ami in gpu.known_good:
        return []
    do = f"leave {_AMI_KEY} out, or watch the first start of the endpoint"
    if ami in facts.OTHER_AMIS:
        return [
            Finding(
                f"{ami} has no NVIDIA driver",
                f"{machine.name} has an NVIDIA GPU",
                f"leave {_AMI_KEY} out: one that fits is then chosen",
                _AMI_KEY,
                code="ST78",
            )
        ]
    if ami not in facts.AMIS:
        why = "its driver is assumed to run what the image needs"
        return [Finding(f"{ami} is not known", why, do, _AMI_KEY, "warning", code="ST78")]
    what = f"{ami} is not known to start on {machine.family} instances"
    return [
        Finding(
            what,
            "AWS may refuse it when the endpoint is created",
            do,
            _AMI_KEY,
            "warning",
            code="ST78",
        )
    ]


def doubts(machine: Machine, target: ComputeTarget, chosen: ChosenBuilds) -> list[Finding]:
    """What the tables do not know, and what was assumed."""
    found = []
    watch = "watch the first start of the endpoint"
    if machine.assumed:
        what = f"The instance family {machine.family} is not known"
        why = f"it is assumed that {machine.assumed}"
        found.append(Finding(what, why, watch, _INSTANCE_KEY, "warning", code="ST78"))
    for name in () if target.ami in facts.OTHER_AMIS else chosen.doubts:
        found.append(
            Finding(
                f"It is not known whether {short(chosen.options[name])} runs on {machine.name}",
                chosen.judgements[name].why,
                f"{watch}: the server checks the driver before it loads the model",
                _INSTANCE_KEY,
                "warning",
                code="ST78",
            )
        )
    for option in chosen.options.values():
        if option.assumed:
            what = f"{option.need.framework} is not known"
            why = f"it is assumed that {option.assumed}"
            found.append(Finding(what, why, watch, _PACKAGES_KEY, "warning", code="ST78"))
    return found


def idle_gpu(world: Resolution, machine: Machine, chosen: ChosenBuilds) -> list[Finding]:
    """Frameworks that leave the GPU alone, or none at all."""
    if not chosen.options:
        return [
            Finding(
                f"Nothing that is installed uses the GPU of {machine.name}",
                "no framework with CUDA is among the packages",
                "choose an instance type without a GPU",
                _INSTANCE_KEY,
                "warning",
                code="ST78",
            )
        ]
    found = []
    for name, option in chosen.options.items():
        if option.need.cuda is not None:
            continue
        package = world.packages[name]
        if pinned(package):
            why, do = f"your entry `{package.entry}` asks for a CPU build", _unpin(package)
        else:
            why = f"it is a CPU build: {option.need.evidence}"
            do = f"use {_GPU_PACKAGES.get(name, f'a version of {name} with CUDA')} instead"
        what = f"{option.need.framework} will not use the GPU of {machine.name}"
        found.append(Finding(what, why, do, _PACKAGES_KEY, "warning", code="ST78"))
    return found


def memory(machine: Machine, gpu: facts.Family, target: ComputeTarget) -> list[Finding]:
    """A model that is larger than the GPU's memory."""
    if target.model_bytes is None or gpu.memory_gb is None:
        return []
    needed = target.model_bytes / 1e9 + facts.RUNTIME_OVERHEAD_GB
    if needed <= gpu.memory_gb:
        return []
    larger = [
        f"ml.{family}"
        for family, other in facts.FAMILIES.items()
        if other.architecture == gpu.architecture and (other.memory_gb or 0) >= needed
    ]
    do = f"choose an instance of {_either(larger)}" if larger else "choose more and larger GPUs"
    if machine.gpus > 1 and needed <= gpu.memory_gb * machine.gpus:
        do = f"spread the model over the {machine.gpus} GPUs in load(), or {do}"
    return [
        Finding(
            f"The model may not fit into the memory of {machine.name}'s GPU",
            f"artefact and CUDA runtime take {needed:.1f} GB, the {gpu.gpu} has {gpu.memory_gb} GB",
            do,
            _INSTANCE_KEY,
            "warning",
            code="ST78",
        )
    ]


def short(option: Option) -> str:
    """`torch 2.11` of a build of torch 2.11.0."""
    name, _, version = option.need.framework.partition(" ")
    return f"{name} {'.'.join(version.split('.')[:2])}"


def gigabytes(size: int) -> str:
    """`2.2 GB` of a number of bytes."""
    return f"{size / 1e9:.1f} GB"


def _unpin(package: ResolvedPackage) -> str:
    return f"write `{label(package).replace(' ', '==')}` without an index and a local version"


def _either(items: Iterable[str]) -> str:
    *rest, last = items
    return f"{', '.join(rest)} or {last}" if rest else last
