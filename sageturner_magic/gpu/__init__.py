"""GPU fit: wheels, driver, instance and base image chosen so that they start together.

A pure core: `fit` reads no file and asks no service. What it knows beyond the wheels' own
metadata stands in `facts`, dated and sourced.
"""

from __future__ import annotations

from sageturner_magic.gpu.decide import fit
from sageturner_magic.gpu.facts import MISFIT_MARKER
from sageturner_magic.gpu.render import InstanceFit, doctor_table, explain, instance_fits
from sageturner_magic.gpu.values import (
    ComputeTarget,
    Decision,
    Fit,
    ImageBase,
    Need,
    Replacement,
    ResolvedPackage,
)

__all__ = [
    "MISFIT_MARKER",
    "ComputeTarget",
    "Decision",
    "Fit",
    "ImageBase",
    "InstanceFit",
    "Need",
    "Replacement",
    "ResolvedPackage",
    "doctor_table",
    "explain",
    "fit",
    "instance_fits",
]
