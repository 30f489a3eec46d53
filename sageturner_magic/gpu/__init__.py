"""Choose wheels, driver, instance and base image so that they start together.

A pure core: `fit` reads no file and calls no service. What it knows beyond the wheels' own
metadata is in `facts`, dated and sourced. The plans, the form and the doctor use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .decide import fit as fit
    from .instances import machine_of as machine_of
    from .render import doctor_table as doctor_table
    from .render import explain as explain
    from .render import instance_fits as instance_fits
    from .values import ComputeTarget as ComputeTarget
    from .values import Decision as Decision
    from .values import Fit as Fit
    from .values import ImageBase as ImageBase
    from .values import Replacement as Replacement
    from .values import ResolvedPackage as ResolvedPackage
else:
    __getattr__, __dir__ = face(__name__)
