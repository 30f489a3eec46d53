"""Model images: where SageMaker takes them from and which it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.stand.actions import Need, repository_arn
from tests.stand.ecr import Ecr
from tests.stand.iam import Iam, Principal
from tests.stand.sagemaker.validation import invalid

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
PULL_ACTIONS = ("BatchGetImage", "GetDownloadUrlForLayer", "BatchCheckLayerAvailability")
REFERENCE = re.compile(
    r"(?P<host>[^/]+)/(?P<name>[^@]+?)(?:@(?P<digest>sha256:\w+)|:(?P<tag>[\w.-]+))?"
)


@dataclass
class Limits:
    """Limits that a test may lower in place of making something huge.

    Attributes:
        serverless_image_bytes: 10 GB:
            https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html
        serverless_body_bytes: Each way, serverless.
        server_body_bytes: Each way, on instances.
        invocation_s: Until a container has to have answered.
        stream_s: Until a streamed answer has to be complete.
    """

    serverless_image_bytes: int = 10737418240
    serverless_body_bytes: int = 4 << 20
    server_body_bytes: int = 25 << 20
    invocation_s: float = 60
    stream_s: float = 480


def primary_container(model: Mapping[str, Any]) -> dict[str, Any]:
    """The container that serves; of a list, the first. Raises AwsFault where there is none."""
    found = model.get("PrimaryContainer") or next(iter(model.get("Containers", [])), None)
    if not found:
        raise invalid("Either PrimaryContainer or Containers must be specified.")
    if "Image" not in found:
        raise invalid("Image must be specified for the container.")
    return dict(found)


def resolve(image: str, region: str, role: Principal, ecr: Ecr, iam: Iam) -> str:
    """`host/repository@sha256:…` of an image that `role` may pull. Raises AwsFault."""
    match = REFERENCE.fullmatch(image)
    if match is None or match["host"] != ecr.host_of(region):
        raise invalid(
            f"Using non-ECR image '{image}' without Vpc repository access mode is not supported."
        )
    name = match["name"]
    token = Need("ecr:GetAuthorizationToken", "*")
    needed = [token, *(Need(f"ecr:{item}", repository_arn(region, name)) for item in PULL_ACTIONS)]
    for need in needed:
        if not iam.allows(role, need):
            action = need.action.removeprefix("ecr:")
            raise invalid(
                f"The role '{role.arn}' does not have {action} permission for the image: '{image}'."
            )
    found = ecr.image(region, name, match["digest"] or match["tag"] or "latest")
    if found is None:
        raise invalid(f"Requested image {image} not found.")
    if found.image_manifest_media_type != MANIFEST:
        raise invalid(
            f"Unsupported manifest media type {found.image_manifest_media_type} for image {image}. "
            "Ensure that valid manifest media type is used for specified SageMaker image."
        )
    return f"{match['host']}/{name}@{found.image_digest}"
