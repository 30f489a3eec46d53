"""What a wheel says of its CUDA in its own requirements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from sageturner_magic.constants import Architecture
from sageturner_magic.gpu.values import Cuda

_MACHINES: dict[Architecture, str] = {"amd64": "x86_64", "arm64": "aarch64"}
_RUNTIME = re.compile(r"nvidia-cuda-runtime(?:-cu(?P<major>\d+))?")
_JAX_PLUGIN = re.compile(r"jax-cuda(?P<major>\d+)-plugin")
_LOCAL = re.compile(r"cu(?P<major>\d\d)(?P<minor>\d)")


@dataclass(frozen=True)
class CudaEvidence:
    """A CUDA version and the requirement, version or index that tells it."""

    cuda: Cuda
    source: str


def requirements(
    lines: Iterable[str], extras: Iterable[str], architecture: Architecture, python: str
) -> Iterator[Requirement]:
    """The requirements that hold on Linux of `architecture`; lines pip cannot read are left out.

    `python` is the version of the image's Python (`3.12`).
    """
    environment = {
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": _MACHINES[architecture],
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    asked = ("", *extras)
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker is None or any(
            requirement.marker.evaluate({**environment, "extra": extra}) for extra in asked
        ):
            yield requirement


def cuda_required(found: Iterable[Requirement]) -> CudaEvidence | None:
    """The CUDA that requirements bring: its runtime, the toolkit, or JAX's plugin.

    An exact runtime is preferred to a plugin that only tells the major version.
    """
    best: CudaEvidence | None = None
    for requirement in found:
        name = canonicalize_name(requirement.name)
        runtime, plugin = _RUNTIME.fullmatch(name), _JAX_PLUGIN.fullmatch(name)
        if runtime or name == "cuda-toolkit":
            cuda = _least(requirement.specifier)
            if cuda is None and runtime and runtime["major"]:
                cuda = (int(runtime["major"]), 0)
            if cuda:
                return CudaEvidence(cuda, f"{requirement.name}{requirement.specifier}")
        elif plugin and best is None:
            best = CudaEvidence((int(plugin["major"]), 0), requirement.name)
    return best


def cuda_resolved(versions: Iterable[tuple[str, str]]) -> CudaEvidence | None:
    """The CUDA that a resolution brings, from its packages' names and versions."""
    return cuda_required(
        Requirement(f"{name}=={version}")
        for name, version in versions
        if name == "cuda-toolkit" or _RUNTIME.fullmatch(name) or _JAX_PLUGIN.fullmatch(name)
    )


def variant(version: str, index: str) -> str:
    """`cpu` or `cuXXX` from a local version (`2.7.1+cu118`) or an index's last path segment.

    Empty where neither tells.
    """
    for text in (version.partition("+")[2], index.rstrip("/").rpartition("/")[2]):
        if text == "cpu" or _LOCAL.fullmatch(text):
            return text
    return ""


def cuda_of_variant(name: str) -> Cuda | None:
    """The CUDA of a variant (`cu118` is 11.8); None for `cpu` and anything else."""
    found = _LOCAL.fullmatch(name)
    return (int(found["major"]), int(found["minor"])) if found else None


def minor_version(version: str) -> tuple[int, int]:
    """Major and minor of a version; (0, 0) for one that is not PEP 440."""
    try:
        parsed = Version(version)
    except InvalidVersion:
        return (0, 0)
    return (parsed.major, parsed.minor)


def public_version(version: str) -> str:
    """The version without its local part."""
    return version.partition("+")[0]


def _least(specifier: SpecifierSet) -> Cuda | None:
    """Major and minor of the oldest version that a specifier names."""
    floors = [
        minor_version(clause.version.removesuffix(".*") + ".0")
        for clause in specifier
        if clause.operator in ("==", "===", "~=", ">=", ">")
    ]
    return max(floors, default=None)
