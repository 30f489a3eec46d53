"""Choose wheels, driver, instance and base image so that they start together.

A pure core: `fit` reads no file and calls no service. What it knows beyond the wheels' own
metadata is in `facts`, dated and sourced. The plans, the form and the doctor use it.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .decide import fit
    from .instances import machine_of
    from .render import doctor_table, explain, instance_fits
    from .values import ComputeTarget, Decision, Fit, ImageBase, Replacement, ResolvedPackage
else:
    __getattr__, __dir__ = face(__name__)
