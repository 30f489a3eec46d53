"""GPU fit: wheels, driver, instance and base image chosen so that they start together.

A pure core: `fit` reads no file and asks no service. What it knows beyond the wheels' own
metadata stands in `facts`, dated and sourced.
"""

from __future__ import annotations

from sageturner_magic.gpu.decide import fit
from sageturner_magic.gpu.facts import MISFIT_MARKER
from sageturner_magic.gpu.render import Choice, choices, doctor_table, explain
from sageturner_magic.gpu.values import (
    BaseImage,
    ComputeTarget,
    Decision,
    Fit,
    Need,
    Package,
    Replacement,
)

__all__ = [
    "MISFIT_MARKER",
    "BaseImage",
    "Choice",
    "ComputeTarget",
    "Decision",
    "Fit",
    "Need",
    "Package",
    "Replacement",
    "choices",
    "doctor_table",
    "explain",
    "fit",
]
