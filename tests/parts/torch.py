"""PyTorch's CPU build: whether this machine can have it, from where, and for which Python."""

from __future__ import annotations

import functools
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sageturner_magic.packages.machine import pip_configuration
from tests.parts.base_image import interpreter

INDEX = "https://download.pytorch.org/whl/cpu"
SECONDS = 5


@dataclass(frozen=True)
class CpuTorch:
    """A PyTorch without CUDA.

    Attributes:
        version: Of the wheel on this machine's disk (`2.13.0+cpu`); empty where PyTorch's own
            index has it.
        python: The Python version that it is installed for (`3.11`).
    """

    version: str
    python: str

    @property
    def requirement(self) -> str:
        """What a user asks for, who knows nothing of builds."""
        return f"torch=={self.version.partition('+')[0]}" if self.version else "torch"

    @property
    def options(self) -> list[str]:
        """The arguments of `uv pip install` that bring exactly this build."""
        return [f"torch=={self.version}"] if self.version else ["--torch-backend=cpu"]


@functools.cache
def cpu_torch() -> CpuTorch | None:
    """A wheel that pip's `find-links` has, or what PyTorch's index has; None without either."""
    if found := _own(pip_configuration().get("find-links", "").split()):
        return found
    try:
        with urllib.request.urlopen(f"{INDEX}/torch/", timeout=SECONDS):
            return CpuTorch("", f"3.{sys.version_info[1]}")
    except (OSError, ValueError):
        return None


def _own(links: Iterable[str]) -> CpuTorch | None:
    for link in links:
        for wheel in sorted(Path(link).glob("torch-*+cpu-cp3*.whl"), reverse=True):
            name = re.match(r"torch-([^-]+)-cp3(\d+)-", wheel.name)
            if name and _is_here(f"3.{name[2]}"):
                return CpuTorch(name[1], f"3.{name[2]}")
    return None


def _is_here(python: str) -> bool:
    try:
        interpreter(python)
    except RuntimeError:
        return False
    return True


def missing() -> str:
    """Why tests that need it cannot run; empty when they can."""
    if cpu_torch():
        return ""
    return (
        "no CPU build of PyTorch: pip's find-links has no wheel of it for a Python of this "
        f"machine, and {INDEX} cannot be reached"
    )
