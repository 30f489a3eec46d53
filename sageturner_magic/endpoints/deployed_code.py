"""Read the code that an endpoint runs, and show the notebook's cells in its messages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sageturner_magic import aws, image
from sageturner_magic.aws.endpoints import find_version, our_endpoint
from sageturner_magic.endpoints.local import LocalEndpoints
from sageturner_magic.endpoints.sagemaker import SageMakerEndpoints
from sageturner_magic.errors import AwsError, EndpointError
from sageturner_magic.image import registry
from sageturner_magic.values import CapturedModule

PROGRAM = "/opt/program/sageturner.py"
"""Where an image has the module."""

_deployed: dict[tuple[str, str], CapturedModule] = {}


def remember(endpoint: str, version: str, module: CapturedModule) -> None:
    """Version `version` of `endpoint` runs `module`, whose cells are this process's."""
    _deployed[endpoint, version] = module


def cells(target: LocalEndpoints | SageMakerEndpoints, name: str) -> Mapping[int, tuple[int, int]]:
    """Line of sageturner.py -> cell and line of it, as far as that is known.

    Of endpoints on SageMaker that is in the process which deployed them: to others the numbers
    of its cells say nothing.
    """
    if isinstance(target, LocalEndpoints):
        return target.record(name).lines
    if not any(endpoint == name for endpoint, _ in _deployed):
        return {}
    try:
        version = our_endpoint(target.session, name).version
    except AwsError:
        # Who may read logs or invoke need not be allowed to describe endpoints.
        return {}
    module = _deployed.get((name, version))
    return module.lines if module else {}


def source(target: LocalEndpoints | SageMakerEndpoints, name: str) -> str:
    """The sageturner.py that endpoint `name` runs.

    Raises:
        EndpointError: It cannot be read, or the image is the user's own.
    """
    if isinstance(target, SageMakerEndpoints):
        return _of_image(target, name)
    path = Path(target.record(name).folder) / "program" / "sageturner.py"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise EndpointError(
            f"The code of endpoint `{name}` cannot be read",
            where=str(path),
            why=error.strerror or "",
            do="deploy it again",
            code="ST89",
        ) from None


def _of_image(target: SageMakerEndpoints, name: str) -> str:
    endpoint = our_endpoint(target.session, name)
    version = find_version(target.session, endpoint.config)
    repository, _, digest = (version.image if version else "").partition("@")
    if not digest:
        raise EndpointError(
            f"The image of endpoint `{name}` is not known",
            where=f"endpoint {name}",
            do="deploy it again",
            code="ST89",
        )
    tokens = aws.EcrCredentials(target.session)

    content = registry.read_file(image.Destination(repository, tokens.get), digest, PROGRAM)
    if content is None:
        raise EndpointError(
            f"The image of endpoint `{name}` has no {PROGRAM}",
            where=f"endpoint {name}",
            why="it was not made from captured cells or a code directory",
            do="compare it with your own Dockerfile",
            code="ST89",
        )
    return content.decode("utf-8")
