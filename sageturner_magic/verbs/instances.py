"""List instance types with their hardware, and whether the packages fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from sageturner_magic.aws.endpoints import instance_types
from sageturner_magic.gpu import ComputeTarget, ResolvedPackage, instance_fits, machine_of
from sageturner_magic.packages.needed import providers


@dataclass(frozen=True)
class InstanceChoice:
    """An instance type.

    Attributes:
        name: `ml.g5.xlarge`.
        hardware: `A10G, 24 GB`, `4 x L4, 24 GB each`, `arm64`; empty for plain CPU instances.
        fits: Whether the packages run on it.
        why: Why they do not, or what to know if they do; may be empty.
    """

    name: str
    hardware: str
    fits: bool
    why: str


def instance_choices(
    wanted: Sequence[str], python: str, *, install_cuda: bool
) -> list[InstanceChoice]:
    """Every instance type that an endpoint can have.

    Args:
        wanted: Distributions or requirement lines; what they bring with them is read from this
            environment, so what is not installed here counts for nothing.
        python: The image's Python, `3.12`.
    """
    target = ComputeTarget("server", install_cuda=install_cuda)
    found = instance_fits(installed_packages(wanted), target, python, instance_types())
    return [
        InstanceChoice(each.instance_type, _hardware(each.instance_type), each.fits, each.why)
        for each in found
    ]


def imported_distributions(imports: Iterable[str]) -> list[str]:
    """The distributions that have these top-level modules, as far as they are installed."""
    known = providers()
    return sorted({name for module in imports for name in known.get(module, ())})


def installed_packages(wanted: Sequence[str]) -> list[ResolvedPackage]:
    """These packages of this environment, with all that they require."""
    found: dict[str, ResolvedPackage] = {}
    waiting = [name for line in wanted for name in _names(line)]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        requires = tuple(distribution.requires or ())
        found[name] = ResolvedPackage(name, distribution.version, requires)
        for text in requires:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return list(found.values())


def _names(line: str) -> Iterator[str]:
    """The packages that a piece of a pip command line asks for."""
    for word in line.split():
        if not word.startswith("-"):
            try:
                yield Requirement(word).name
            except InvalidRequirement:
                continue


def _hardware(instance_type: str) -> str:
    machine = machine_of(instance_type)
    if machine.gpu:
        memory = f", {machine.gpu.memory_gb} GB" if machine.gpu.memory_gb else ""
        if machine.gpus > 1:
            return f"{machine.gpus} x {machine.gpu.gpu or 'GPU'}{memory and memory + ' each'}"
        return f"{machine.gpu.gpu or 'GPU'}{memory}"
    return machine.accelerator or ("arm64" if machine.architecture == "arm64" else "")
