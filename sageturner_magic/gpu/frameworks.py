"""What each framework is offered as: the builds of it that could be installed.

`gpu_options` lists a framework's builds for a GPU, the resolved one first; `cpu_build` says what
takes its place where there is no GPU. Neither knows drivers or instances.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from sageturner_magic.constants import Architecture
from sageturner_magic.gpu import facts
from sageturner_magic.gpu.metadata import (
    CudaEvidence,
    cuda_of_variant,
    cuda_required,
    cuda_resolved,
    minor_version,
    public_version,
    requirements,
    variant,
)
from sageturner_magic.gpu.values import Capability, Cuda, Need, Replacement, ResolvedPackage

TORCH_FAMILY = ("torch", "torchvision", "torchaudio")
"""Packages whose builds have to come from one index."""

BOUND_TO_TORCH = ("vllm", "xformers", "flash-attn")
"""Packages whose wheels hold code for the CUDA of one torch: torch's CUDA major stays."""

GPU_ONLY = ("vllm", "xformers", "flash-attn")
"""Packages without a build that computes on a CPU; CuPy is another."""

_Entry = TypeVar("_Entry")

_FOLLOWERS = (*TORCH_FAMILY[1:], *BOUND_TO_TORCH, "bitsandbytes")
_CUDA_PARTS = ("nvidia-", "cuda-", "jax-cuda", "triton")


@dataclass(frozen=True)
class Resolution:
    """A resolution and the machine it is for.

    Attributes:
        packages: Canonical name -> package.
        architecture: Of the image.
        python: The image's Python (`3.12`).
    """

    packages: Mapping[str, ResolvedPackage]
    architecture: Architecture
    python: str

    @classmethod
    def of(
        cls, packages: Iterable[ResolvedPackage], architecture: Architecture, python: str
    ) -> Resolution:
        """The world of a list of packages."""
        named = {str(canonicalize_name(package.name)): package for package in packages}
        return cls(named, architecture, python)

    @cached_property
    def resolved_cuda(self) -> CudaEvidence | None:
        """The CUDA whose runtime was resolved beside the frameworks."""
        return cuda_resolved((name, package.version) for name, package in self.packages.items())

    def cuda_of(self, package: ResolvedPackage, extras: Iterable[str] = ()) -> CudaEvidence | None:
        """The CUDA that a package's own requirements bring, with its extras or those given."""
        lines = requirements(
            package.requires, extras or package.extras, self.architecture, self.python
        )
        return cuda_required(lines)

    def is_required(self, name: str) -> bool:
        """Whether another package's requirements name this one."""
        return any(
            canonicalize_name(requirement.name) == name
            for other, package in self.packages.items()
            if other != name
            for requirement in requirements(
                package.requires, package.extras, self.architecture, self.python
            )
        )


@dataclass(frozen=True)
class Option:
    """One build of a framework.

    Attributes:
        need: What it asks of the driver.
        capabilities: GPUs it has code for; None where that is not known.
        replacements: What has to be resolved again to have it; empty for the resolved build.
        system_cuda: It loads CUDA from the system: the base image has to bring it.
        assumed: What was assumed because the tables do not know it; empty otherwise.
    """

    need: Need
    capabilities: tuple[Capability, ...] | None = None
    replacements: tuple[Replacement, ...] = ()
    system_cuda: bool = False
    assumed: str = ""


def label(package: ResolvedPackage) -> str:
    """`torch 2.11.0`, without a local part."""
    return f"{canonicalize_name(package.name)} {public_version(package.version)}"


def variant_name(cuda: Cuda) -> str:
    """`cu118` for 11.8."""
    return f"cu{cuda[0]}{cuda[1]}"


def dotted(version: tuple[int, int]) -> str:
    """`12.4` for (12, 4)."""
    return f"{version[0]}.{version[1]}"


def pinned(package: ResolvedPackage) -> bool:
    """Whether the user's own entry chose this very build (a local version or an index)."""
    local = package.version.partition("+")[2]
    return bool(package.entry) and (
        (bool(local) and f"+{local}" in package.entry)
        or (bool(package.index) and package.index.rstrip("/") in package.entry)
    )


def gpu_options(world: Resolution) -> dict[str, tuple[Option, ...]]:
    """Canonical name of each framework that uses the GPU -> its builds, the resolved one first."""
    options = {name: _builds(world, name, package) for name, package in world.packages.items()}
    return {name: builds for name, builds in options.items() if builds}


def _builds(world: Resolution, name: str, package: ResolvedPackage) -> tuple[Option, ...]:
    if name == "torch":
        return _torch(world, package)
    if name in ("tensorflow", "tensorflow-cpu"):
        return _tensorflow(world, package)
    if name == "jax":
        return _jax(world, package)
    if name in ("onnxruntime", "onnxruntime-gpu"):
        return _onnxruntime(world, package)
    if name.startswith("cupy-cuda"):
        return _cupy(world, package)
    if name in _FOLLOWERS or name.startswith(_CUDA_PARTS):
        return ()
    evidence = world.cuda_of(package)
    if evidence is None:
        return ()
    assumed = f"{label(package)} needs nothing but the CUDA that its metadata names"
    return (Option(_need(package, evidence), assumed=assumed),)


def _need(package: ResolvedPackage, evidence: CudaEvidence) -> Need:
    return Need(label(package), evidence.cuda, variant_name(evidence.cuda), evidence.source)


def _cpu(package: ResolvedPackage, evidence: str) -> Option:
    return Option(Need(label(package), None, "cpu", evidence), capabilities=())


def _torch_family(world: Resolution, name: str) -> tuple[Replacement, ...]:
    index = facts.TORCH_INDEX + name
    torch = minor_version(world.packages["torch"].version)
    return tuple(
        Replacement(member, f"{member}=={public_version(package.version)}", index, name)
        for member in TORCH_FAMILY
        if (package := world.packages.get(member))
        # torchaudio 2.11 is the last; with a newer torch it needs no build of its own.
        and (member != "torchaudio" or minor_version(package.version) == torch)
    )


def _torch_resolved(world: Resolution, package: ResolvedPackage) -> Option:
    name = variant(package.version, package.index)
    if name == "cpu":
        return _cpu(package, "its version" if "+" in package.version else "its index")
    evidence = _torch_evidence(world, package, name)
    known = minor_version(package.version) in facts.TORCH
    if evidence is None:
        assumed = "" if known else "it is a CPU build, because its metadata names no CUDA"
        return replace(_cpu(package, "its metadata names no CUDA"), assumed=assumed)
    assumed = ""
    if evidence.cuda not in facts.TORCH_CAPABILITIES:
        assumed = (
            f"{label(package)} with CUDA {dotted(evidence.cuda)} covers the same GPUs as the "
            "nearest build that is known"
        )
    elif not known:
        assumed = f"{label(package)} needs nothing but CUDA {dotted(evidence.cuda)}"
    capabilities = _nearest(facts.TORCH_CAPABILITIES, evidence.cuda)
    return Option(_need(package, evidence), capabilities, assumed=assumed)


def _torch_evidence(world: Resolution, package: ResolvedPackage, name: str) -> CudaEvidence | None:
    """The CUDA of the resolved torch: its variant, its metadata, its neighbours, the table."""
    if cuda := cuda_of_variant(name):
        return CudaEvidence(cuda, name)
    if package.requires:
        return world.cuda_of(package)
    if world.resolved_cuda:
        return world.resolved_cuda
    minor = minor_version(package.version)
    if world.architecture == "arm64" and minor < facts.TORCH_ARM64_CUDA:
        return None
    return CudaEvidence(_nearest(facts.TORCH, minor).cuda, "the wheels of the package index")


def _torch(world: Resolution, package: ResolvedPackage) -> tuple[Option, ...]:
    resolved = _torch_resolved(world, package)
    known = facts.TORCH.get(minor_version(package.version))
    # Only the x86 wheels of every index are known; on arm64 the resolved build is the only one.
    if pinned(package) or known is None or world.architecture != "amd64":
        return (resolved,)
    bound = any(name in world.packages for name in BOUND_TO_TORCH)
    others = []
    for cuda in sorted(known.indexes, reverse=True):
        if cuda == resolved.need.cuda:
            continue
        if bound and resolved.need.cuda and cuda[0] != resolved.need.cuda[0]:
            continue
        name = variant_name(cuda)
        others.append(
            Option(
                Need(label(package), cuda, name, f"the index {name}"),
                facts.TORCH_CAPABILITIES[cuda],
                _torch_family(world, name),
            )
        )
    return (resolved, *others)


def _tensorflow(world: Resolution, package: ResolvedPackage) -> tuple[Option, ...]:
    if canonicalize_name(package.name) == "tensorflow-cpu" or world.architecture == "arm64":
        return (_cpu(package, "its name" if "cpu" in package.name else "it has no CUDA on arm64"),)
    evidence = world.cuda_of(package)
    if evidence:
        return (Option(_need(package, evidence)),)
    if minor_version(package.version) < facts.TENSORFLOW_AND_CUDA:
        need = _need(package, CudaEvidence(facts.TENSORFLOW_SYSTEM_CUDA, "its release notes"))
        return (Option(need, system_cuda=True),)
    evidence = world.cuda_of(package, ("and-cuda",)) or CudaEvidence(
        _nearest(facts.TENSORFLOW_CUDA, minor_version(package.version)), "its extra and-cuda"
    )
    if "and-cuda" in package.extras:
        return (Option(_need(package, evidence)),)
    return (Option(_need(package, evidence), None, (_extras(package, "and-cuda"),)),)


def _extras(package: ResolvedPackage, extras: str) -> Replacement:
    """The same package with extras that bring CUDA, in place of others that do."""
    name = str(canonicalize_name(package.name))
    kept = [extra for extra in package.extras if "cuda" not in extra]
    wanted = ",".join([*kept, extras])
    return Replacement(name, f"{name}[{wanted}]=={package.version}", "", extras)


def _jax(world: Resolution, package: ResolvedPackage) -> tuple[Option, ...]:
    found: dict[int, Option] = {}
    for major in sorted(facts.JAX_EXTRAS):
        plugin = world.packages.get(f"jax-cuda{major}-plugin")
        if plugin or any(extra.startswith(f"cuda{major}") for extra in package.extras):
            evidence = (
                world.cuda_of(plugin, ("with-cuda",)) if plugin and plugin.requires else None
            ) or CudaEvidence((major, 0), f"jax-cuda{major}-plugin")
            found[major] = Option(_need(package, evidence))
    if any("cuda" in extra and extra in package.entry for extra in package.extras):
        return tuple(found.values())
    others = tuple(
        Option(
            _need(package, CudaEvidence((major, 0), f"its extra cuda{major}")),
            None,
            (_extras(package, f"cuda{major}"),),
        )
        for major in sorted(facts.JAX_EXTRAS)
        if major not in found and _jax_has_extra(world, package, major)
    )
    return (*found.values(), *others) or (_cpu(package, "jax has no CUDA extra"),)


def _jax_has_extra(world: Resolution, package: ResolvedPackage, major: int) -> bool:
    if package.requires:
        return world.cuda_of(package, (f"cuda{major}",)) is not None
    try:
        return Version(package.version).release >= facts.JAX_EXTRAS[major]
    except InvalidVersion:
        return False


def _onnxruntime(world: Resolution, package: ResolvedPackage) -> tuple[Option, ...]:
    if canonicalize_name(package.name) == "onnxruntime":
        return (_cpu(package, "its name"),)
    cuda = _nearest(facts.ONNXRUNTIME_CUDA, minor_version(package.version))
    extras = world.cuda_of(package, ("cuda", "cudnn"))
    evidence = extras or CudaEvidence(cuda, "the requirements of its CUDA provider")
    need = _need(package, evidence)
    beside = world.resolved_cuda
    if "cuda" in package.extras or (beside and beside.cuda[0] == evidence.cuda[0]):
        return (Option(need),)
    if extras:
        return (Option(need, None, (_extras(package, "cuda,cudnn"),)),)
    return (Option(need, system_cuda=True),)


def _cupy(world: Resolution, package: ResolvedPackage) -> tuple[Option, ...]:
    digits = canonicalize_name(package.name).removeprefix("cupy-cuda").removesuffix("x")
    if not digits.isdigit():
        return ()
    # cupy-cuda11x serves a whole major version, cupy-cuda118 of old one minor version.
    cuda = (int(digits[:2]), int(digits[2:] or 0))
    evidence = world.cuda_of(package, ("ctk",))
    need = _need(package, CudaEvidence(cuda, "its name"))
    beside = world.resolved_cuda
    if "ctk" in package.extras or (beside and beside.cuda[0] == cuda[0]):
        return (Option(need),)
    if evidence:
        return (Option(need, None, (_extras(package, "ctk"),)),)
    return (Option(need, system_cuda=True),)


def cpu_build(world: Resolution, name: str) -> tuple[Replacement, ...] | None:
    """What takes the place of a framework where there is no GPU.

    Empty where the resolved build is right already; None where it holds CUDA and has no other
    build. A replacement without a requirement leaves its package out.
    """
    package = world.packages[name]
    version = public_version(package.version)
    if name == "torch":
        resolved = _torch_resolved(world, package)
        return () if resolved.need.cuda is None else _torch_family(world, "cpu")
    if name == "tensorflow":
        # tensorflow-cpu has x86 wheels only, and it does not satisfy a requirement `tensorflow`.
        if world.architecture == "amd64" and not world.is_required(name):
            return (Replacement(name, f"tensorflow-cpu=={version}", "", "cpu"),)
        if "and-cuda" in package.extras:
            return (Replacement(name, f"tensorflow=={version}", "", "cpu"),)
        return ()
    if name == "jax":
        parts = [part for part in world.packages if part.startswith("jax-cuda")]
        if not parts and not any(extra.startswith("cuda") for extra in package.extras):
            return ()
        return (
            Replacement(name, f"jax=={version}", "", "cpu"),
            *(Replacement(part, "", "", "cpu") for part in parts if world.packages[part].entry),
        )
    if name == "onnxruntime-gpu" and not world.is_required(name):
        # The two are not released with the same patch versions.
        major, minor = minor_version(version)
        return (Replacement(name, f"onnxruntime=={major}.{minor}.*", "", "cpu"),)
    if name in GPU_ONLY or name.startswith("cupy") or name == "onnxruntime-gpu":
        return None
    return ()


def cuda_bytes(world: Resolution, name: str) -> int:
    """Bytes of wheels (compressed) that only the resolved GPU build of a framework needs.

    Measured for some versions; the nearest older one stands for the others. 0 where nothing was
    measured.
    """
    package = world.packages[name]
    extras = set(package.extras)
    if name == "jax":
        extras |= {
            f"cuda{major}"
            for major in facts.JAX_EXTRAS
            if f"jax-cuda{major}-plugin" in world.packages
        }
    keys = [f"{name}[{extra}]" for extra in extras]
    # A tensorflow that another package requires stays, without its extra.
    if name != "tensorflow" or not world.is_required(name):
        keys.append(name)
    tables = [facts.CUDA_WHEELS_BYTES[key] for key in keys if key in facts.CUDA_WHEELS_BYTES]
    return sum(_nearest(table, minor_version(package.version)) for table in tables)


def _nearest(table: Mapping[tuple[int, int], _Entry], version: tuple[int, int]) -> _Entry:
    """The entry of the newest key that is not above `version`; the oldest entry otherwise."""
    return table[max((key for key in table if key <= version), default=min(table))]
