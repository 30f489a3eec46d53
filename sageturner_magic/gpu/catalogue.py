"""List instance families and the AMIs' drivers, from botocore's service model."""

from __future__ import annotations

import re
from html import unescape

from sageturner_magic.aws.endpoints import instance_types, service_model
from sageturner_magic.gpu.facts import Ami

_AMI = re.compile(
    r"<dt>(?P<name>[^<]+)</dt>(?:(?!<dt>).)*?NVIDIA driver version: (?P<driver>\d+)"
    r"(?:(?!<dt>).)*?CUDA (?:driver )?version: (?P<major>\d+)\.(?P<minor>\d+)",
    re.DOTALL,
)


def families() -> tuple[str, ...]:
    """Every instance family that an endpoint can have, in alphabetical order."""
    return tuple(sorted({name.split(".")[1] for name in instance_types()}))


def documented_amis() -> dict[str, Ami]:
    """Drivers of the AMIs with an NVIDIA GPU, as the service model's documentation has them.

    Empty where botocore was installed without its documentation.
    """
    variant = service_model().shape_for("ProductionVariant")
    text = variant.members["InferenceAmiVersion"].documentation  # type: ignore[attr-defined]
    return {
        unescape(found["name"]): Ami(
            int(found["driver"]), (int(found["major"]), int(found["minor"]))
        )
        for found in _AMI.finditer(text)
    }
