"""Find the images that deployments left on this machine's Docker engine."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sageturner_magic.aws import split_versioned
from sageturner_magic.endpoints import container
from sageturner_magic.endpoints.local import LocalState
from sageturner_magic.errors import EndpointError
from sageturner_magic.image import LOCAL_REPOSITORY


def engine_images(repository: str, older_than: float | None = None) -> dict[str, str]:
    """The images of ours on this machine: reference -> the endpoint that it was built for.

    Those that local endpoints run or keep for a rollback are not among them. None where no Docker
    engine answers.

    Args:
        repository: The name of the ECR repository that images are pushed to.
        older_than: Only those that were built before, seconds since 1970.
    """
    kept = _kept()
    return {
        reference: parts[0]
        for image in _found()
        for reference in image.get("RepoTags") or ()
        if (parts := _endpoint_of(reference, repository)) and reference not in kept
        if older_than is None or image.get("Created", 0) < older_than
    }


def pushed_images(uri: str) -> tuple[str, ...]:
    """The images on this machine that were pushed to one ECR repository, by all their names.

    An image that was pushed to another repository, too, loses only its name for this one. What was
    never pushed stays: another deployment may be about to push it.

    Args:
        uri: Of the repository, as ECR names it: `HOST/NAME`.
    """
    kept, found = _kept(), []
    for image in _found():
        names = image.get("RepoTags") or ()
        pushed = [name for name in names if name.rpartition(":")[0] == uri]
        built = [name for name in names if name.rpartition(":")[0] == LOCAL_REPOSITORY]
        if pushed and len(pushed) + len(built) == len(names):
            pushed += built
        found += [name for name in pushed if name not in kept]
    return tuple(sorted(found))


def _found() -> list[dict[str, Any]]:
    with suppress(EndpointError):
        found: list[dict[str, Any]] = container.local_engine().images()
        return found
    return []


def _kept() -> set[str]:
    """What local endpoints run or keep for a rollback."""
    state = LocalState()
    records = (state.read(name) for name in state.names())
    return {image for record in records if record for image in state.engine_images(record)}


def _endpoint_of(reference: str, repository: str) -> tuple[str, str] | None:
    place, _, tag = reference.rpartition(":")
    if place == LOCAL_REPOSITORY or place.endswith(f"/{repository}"):
        return split_versioned(tag)
    return None
