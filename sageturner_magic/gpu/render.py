"""Decisions for people: a sentence for the plan, choices for the form, a table for the doctor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sageturner_magic.gpu.decide import fit
from sageturner_magic.gpu.findings import gigabytes
from sageturner_magic.gpu.frameworks import dotted
from sageturner_magic.gpu.instances import Machine, machine_of
from sageturner_magic.gpu.values import ComputeTarget, Decision, Fit, ResolvedPackage


def explain(decision: Decision) -> str:
    """Why the decision is what it is, one sentence a reason; empty when nothing had to be chosen.

    >>> explain(decision)  # doctest: +SKIP
    "torch 2.11 needs CUDA 13: ml.g5.xlarge's default driver 470 cannot run it, so the endpoint
    uses al2023-ami-sagemaker-inference-gpu-4-1. CUDA comes with the wheels, so …."
    """
    return " ".join(f"{reason}." for reason in decision.reasons)


@dataclass(frozen=True)
class InstanceFit:
    """An instance type in the form.

    Attributes:
        instance_type: `ml.g5.xlarge`.
        fits: Whether the packages run on it.
        why: Why they do not, or what to know if they do; may be empty.
    """

    instance_type: str
    fits: bool
    why: str = ""


def instance_fits(
    packages: Sequence[ResolvedPackage],
    target: ComputeTarget,
    python: str,
    instance_types: Iterable[str],
) -> tuple[InstanceFit, ...]:
    """Each instance type in the place of the target's: does it fit, and why not."""
    found = []
    for instance_type in instance_types:
        answer = fit(
            packages,
            replace(target, endpoint_type="server", instance_type=instance_type),
            python,
        )
        why = "; ".join(_reason(answer))
        found.append(InstanceFit(instance_type, answer.decision is not None, why))
    return tuple(found)


def _reason(answer: Fit) -> list[str]:
    return [
        f"{finding.what}: {finding.why}" if finding.why else finding.what
        for finding in answer.findings
        if answer.decision is not None or finding.severity == "error"
    ]


def doctor_table(
    packages: Sequence[ResolvedPackage], python: str, instance_types: Iterable[str]
) -> tuple[tuple[str, ...], ...]:
    """Return what the packages need on each instance family: rows of cells, the head first.

    GPUs come first; families that come to the same answer share a line.
    """
    lines: dict[tuple[str, ...], list[str]] = {}
    for machine in sorted(_one_a_family(instance_types), key=_order):
        target = ComputeTarget("server", machine.name, install_cuda=machine.gpu is not None)
        answer = fit(packages, target, python)
        lines.setdefault((_processor(machine), *_cells(machine, answer)), []).append(machine.family)
    head = ("instances", "processor", "packages", "InferenceAmiVersion", "remark")
    return (head, *((" ".join(families), *row) for row, families in lines.items()))


def _one_a_family(instance_types: Iterable[str]) -> Iterable[Machine]:
    return {(machine := machine_of(name)).family: machine for name in instance_types}.values()


def _order(machine: Machine) -> tuple[bool, bool, str, str]:
    return (machine.gpu is None, bool(machine.accelerator), machine.architecture, machine.family)


def _processor(machine: Machine) -> str:
    if machine.gpu:
        memory = f" {machine.gpu.memory_gb} GB" if machine.gpu.memory_gb else ""
        return f"{machine.gpu.gpu or 'GPU'}{memory}"
    return machine.accelerator or machine.architecture


def _cells(machine: Machine, answer: Fit) -> tuple[str, str, str]:
    """What is installed, the AMI, and the causes of the findings."""
    if machine.accelerator:
        return "-", "-", "not supported: not an NVIDIA GPU"
    causes = [finding.why for finding in answer.findings if finding.severity != "note"]
    decision = answer.decision
    if decision is None:
        return "-", "-", "; ".join(causes)
    if decision.gpu:
        builds = [
            f"{need.framework} {f'CUDA {dotted(need.cuda)}' if need.cuda else 'CPU'}"
            for need in decision.needs
        ]
        return ", ".join(builds), decision.ami or "default", "; ".join(causes)
    if decision.saved_bytes:
        causes.insert(0, f"{gigabytes(decision.saved_bytes)} of CUDA left out")
    builds = [
        f"{replacement.package} CPU"
        for replacement in decision.replacements
        if replacement.requirement
    ]
    return ", ".join(builds) or "as resolved", "-", "; ".join(causes)
