"""Check an endpoint's settings against what botocore knows of SageMaker: no I/O in here.

Instance types and AMIs come from botocore's service model at run time, so that a new one needs an
update of boto3 and none of this package. All other limits belong to the configuration, which
names the place in the user's YAML.
"""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import TYPE_CHECKING

from sageturner_magic.config import Server, Serverless
from sageturner_magic.errors import Finding
from sageturner_magic.text import size

if TYPE_CHECKING:
    from botocore.model import ServiceModel

SERVERLESS_DISK_BYTES = 5 << 30
"""Disk of a serverless endpoint: the artefact's archive and its files share it with /tmp
(developer guide, "serverless-endpoints")."""

SERVERLESS_IMAGE_BYTES = 10_737_418_240
"""The largest image that serverless takes (SageMaker's own error message)."""


def offer_findings(compute: Serverless | Server) -> tuple[Finding, ...]:
    """Name what SageMaker does not offer, with the nearest that it does."""
    if isinstance(compute, Serverless):
        return ()
    found = []
    kind, ami = compute.instance_type, compute.inference_ami_version
    if kind not in instance_types():
        found.append(
            Finding(
                f"{kind!r} is no instance type for endpoints",
                do=f"{_near(kind, instance_types())}; a newer type needs a newer boto3",
                where="compute.server.instance_type",
                code="ST77",
            )
        )
    if ami is not None and ami not in inference_ami_versions():
        found.append(
            Finding(
                f"{ami!r} does not exist",
                do=f"{_near(ami, inference_ami_versions())}; a newer AMI needs a newer boto3",
                where="compute.server.inference_ami_version",
                code="ST77",
            )
        )
    return tuple(found)


def disk_findings(compute: Serverless | Server, artefact_bytes: int) -> tuple[Finding, ...]:
    """Whether the artefact fits onto the disk of a serverless endpoint.

    Args:
        compute: What is wanted.
        artefact_bytes: Of the files. Their archive, which shares the disk until it is unpacked,
            is hardly smaller where the files are weights.
    """
    if not isinstance(compute, Serverless) or 2 * artefact_bytes <= SERVERLESS_DISK_BYTES:
        return ()
    fits = artefact_bytes <= SERVERLESS_DISK_BYTES
    return (
        Finding(
            f"The artefact of {size(artefact_bytes)} "
            + ("may not fit" if fits else "does not fit")
            + " onto a serverless endpoint's disk",
            why="its archive and its files share 5 GB",
            do="deploy with `-e server`, or make the artefact smaller (half precision)",
            where="artefact",
            severity="warning" if fits else "error",
            code="ST82",
        ),
    )


def instance_types() -> tuple[str, ...]:
    """The instance types for endpoints that this botocore knows."""
    return _enum("ProductionVariantInstanceType")


def inference_ami_versions() -> tuple[str, ...]:
    """The InferenceAmiVersions that this botocore knows."""
    return _enum("ProductionVariantInferenceAmiVersion")


def _near(value: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(value, known, n=3)
    if near:
        return f"did you mean {' or '.join(near)}"
    return f"choose one of {', '.join(known[:8])}{' …' if len(known) > 8 else ''}"


def _enum(shape: str) -> tuple[str, ...]:
    return tuple(service_model().shape_for(shape).enum)  # type: ignore[attr-defined]


@lru_cache(maxsize=1)
def service_model() -> ServiceModel:
    """SageMaker's service model, as this botocore has it."""
    import botocore.session

    return botocore.session.get_session().get_service_model("sagemaker")
