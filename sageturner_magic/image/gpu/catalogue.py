"""Instance types and AMIs from botocore's own service model, which comes with boto3."""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape
from typing import Any

from botocore.session import get_session

from sageturner_magic.image.gpu.facts import Ami

_AMI = re.compile(
    r"<dt>(?P<name>[^<]+)</dt>(?:(?!<dt>).)*?NVIDIA driver version: (?P<driver>\d+)"
    r"(?:(?!<dt>).)*?CUDA (?:driver )?version: (?P<major>\d+)\.(?P<minor>\d+)",
    re.DOTALL,
)


@lru_cache(maxsize=1)
def _service() -> Any:
    return get_session().get_service_model("sagemaker")


def instance_types() -> tuple[str, ...]:
    """Every instance type that an endpoint can have, `ml.c4.large` first."""
    return tuple(_service().shape_for("ProductionVariantInstanceType").enum)


def families() -> tuple[str, ...]:
    """Every instance family that an endpoint can have, in alphabetical order."""
    return tuple(sorted({name.split(".")[1] for name in instance_types()}))


def ami_versions() -> tuple[str, ...]:
    """Every value of InferenceAmiVersion."""
    return tuple(_service().shape_for("ProductionVariantInferenceAmiVersion").enum)


def documented_amis() -> dict[str, Ami]:
    """Drivers of the AMIs with an NVIDIA GPU, as the service model's documentation has them.

    Empty where botocore was installed without its documentation.
    """
    text = _service().shape_for("ProductionVariant").members["InferenceAmiVersion"].documentation
    return {
        unescape(found["name"]): Ami(
            int(found["driver"]), (int(found["major"]), int(found["minor"]))
        )
        for found in _AMI.finditer(text)
    }
