"""From an instance type to the machine that wheels have to fit."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sageturner_magic.constants import Architecture
from sageturner_magic.gpu import facts

_GRAVITON = re.compile(r"[a-z]+\d+g[a-z]*")
_NEURON = re.compile(r"(inf|trn)\d.*")
_GPU = re.compile(r"[gp]\d.*")
_UNKNOWN_GPU = facts.Family("", None, None, None)


@dataclass(frozen=True)
class Machine:
    """What a model runs on.

    Attributes:
        name: For people: the instance type, or `a serverless endpoint`.
        family: The instance family (`g5`); empty where there is no instance.
        architecture: Of the CPU.
        gpu: The family's GPU facts, None without an NVIDIA GPU.
        gpus: Number of GPUs.
        accelerator: An accelerator that is not NVIDIA's, by name; empty otherwise.
        assumed: What was assumed because the family is not known; empty otherwise.
    """

    name: str
    family: str = ""
    architecture: Architecture = "amd64"
    gpu: facts.Family | None = None
    gpus: int = 0
    accelerator: str = ""
    assumed: str = ""


def family_of(instance_type: str) -> str:
    """`g5` of `ml.g5.xlarge`; the text itself where it has no such parts."""
    parts = instance_type.split(".")
    return parts[1] if len(parts) == 3 else instance_type


def machine_of(instance_type: str) -> Machine:
    """The machine behind an instance type such as `ml.g5.xlarge`."""
    family = family_of(instance_type)
    accelerator = facts.OTHER_ACCELERATORS.get(family)
    if accelerator or _NEURON.fullmatch(family):
        return Machine(instance_type, family, accelerator=accelerator or "an AWS Neuron device")
    if gpu := facts.FAMILIES.get(family):
        size = instance_type.rpartition(".")[2]
        count = gpu.gpus.get(size, 1)
        return Machine(instance_type, family, gpu.architecture, gpu, count)
    architecture: Architecture = "arm64" if _GRAVITON.fullmatch(family) else "amd64"
    if _GPU.fullmatch(family):
        assumed = f"{family} instances have an NVIDIA GPU and {architecture} processors"
        return Machine(instance_type, family, architecture, _UNKNOWN_GPU, 1, assumed=assumed)
    return Machine(instance_type, family, architecture)
