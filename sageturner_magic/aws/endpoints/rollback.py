"""Roll an endpoint on SageMaker back to an earlier version, in place."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sageturner_magic.aws.endpoints.endpoint import EndpointState, busy, our_endpoint
from sageturner_magic.aws.endpoints.rollout import Patience, one_way, switch
from sageturner_magic.aws.endpoints.versions import EndpointVersion, list_versions, running_on
from sageturner_magic.aws.freshness import Pause
from sageturner_magic.aws.names import TAG_PREVIOUS, TAG_VERSION
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.errors import EndpointError


def roll_back(
    session: AwsSession, name: str, version: str | None = None, *, pause: Pause = time.sleep
) -> EndpointVersion:
    """Have the endpoint serve an earlier version again.

    Permissions: sagemaker:UpdateEndpoint, sagemaker:AddTags; those of `rollback_target` and
    `autoscaling.describe`.

    Args:
        session, name, version: As for `rollback_target`.
        pause: As for `apply_spec`.

    Returns:
        The version that it goes back to; `watch` follows it and `settle` judges it.

    Raises:
        EndpointError: As `rollback_target`; another change was faster.
        AwsError: A call failed.
    """
    present, target = rollback_target(session, name, version)
    assert target.compute is not None
    switch(session, present, target.resource, target.compute, Patience(pause))
    return target


def rollback_target(
    session: AwsSession, name: str, version: str | None = None
) -> tuple[EndpointState, EndpointVersion]:
    """The endpoint and the version that it can go back to. Changes nothing.

    Permissions: those of `find_endpoint`, `list_versions` and `running_on`.

    Args:
        session: Who asks.
        name: The endpoint's.
        version: Which one; None for the one that served before the present one.

    Raises:
        EndpointError: There is no such endpoint or version, the endpoint is busy, or SageMaker
            cannot turn it into that version.
        AwsError: A call failed.
    """
    present = our_endpoint(session, name)
    if not present.settled:
        raise busy(present)
    others = [v for v in list_versions(session, name) if v.resource != present.config]
    servable = [v for v in others if v.servable]
    target = _target(present, servable, version)
    if target is None or target.compute is None:
        serving = present.version or f"the endpoint config {present.config}"
        raise no_version(name, version, serving, [v.version for v in servable])
    running = next(iter(running_on(session, present)), None)
    if finding := one_way(name, running, target.compute):
        raise EndpointError.of([finding])
    return present, target


def no_version(
    name: str, version: str | None, serving: str, others: Sequence[str]
) -> EndpointError:
    """The error for a version that the endpoint `name` cannot go back to.

    Args:
        name: The endpoint's.
        version: Which one was asked for; None for the one before.
        serving: What it serves, in words.
        others: The versions that it can go back to.
    """
    known = ", ".join(others)
    others_are = f"its other versions: {known}" if known else "it has no other version"
    return EndpointError(
        f"{name} has no version {version} to roll back to"
        if version
        else f"There is no earlier version of {name} to roll back to",
        where=f"endpoint {name}",
        why=f"it serves {serving}; {others_are}",
        do=f"choose one of them, as in `sageturner rollback {name} {others[0]}`"
        if known
        else "deploy the code that the endpoint is to run",
        code="ST85",
    )


def _target(
    present: EndpointState, others: list[EndpointVersion], version: str | None
) -> EndpointVersion | None:
    """The version to go back to, of `others` (newest first)."""
    if version:
        return next((v for v in others if v.version == version), None)
    # Where somebody else changed the endpoint, the version before is the last that sageturner put.
    tag = TAG_PREVIOUS if present.version else TAG_VERSION
    before = next((v for v in others if v.version == present.tags.get(tag)), None)
    return before or next(iter(others), None)
