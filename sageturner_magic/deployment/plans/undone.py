"""Find what a deployment would undo of an endpoint on SageMaker, and what cannot be undone."""

from __future__ import annotations

from collections.abc import Iterator

from sageturner_magic.aws import AwsSession
from sageturner_magic.aws.endpoints import EndpointState, one_way, running_on
from sageturner_magic.config import Server, Serverless
from sageturner_magic.endpoints import compute_text
from sageturner_magic.errors import Finding


def undone(
    session: AwsSession, present: EndpointState, wanted: Serverless | Server
) -> tuple[Finding, ...]:
    """What deploying `wanted` to the endpoint `present` of ours changes that a user may miss.

    Permissions: those of `running_on`. Raises AwsError.
    """
    if present.status in ("Failed", "Deleting"):
        return ()
    return tuple(_undone(present, running_on(session, present), wanted))


def _undone(
    present: EndpointState, running: tuple[Serverless | Server, ...], wanted: Serverless | Server
) -> Iterator[Finding]:
    name, now = present.name, next(iter(running), None)
    where = f"endpoint {name}"
    if finding := one_way(name, now, wanted):
        yield finding
    if isinstance(now, Serverless) and isinstance(wanted, Server):
        yield Finding(
            f"{name} is serverless, and deploying moves it to instances for good",
            where=where,
            why="SageMaker cannot make an endpoint on instances serverless, and `rollback` cannot"
            " either",
            do="to keep it, deploy with `-e serverless`, or choose another `name`",
            severity="warning",
            code="ST97",
        )
    if present.config and not present.version:
        runs = " and ".join(map(compute_text, running)) or "its settings are not known"
        yield Finding(
            f"Somebody else changed {name}, and deploying undoes that",
            where=where,
            why=f"it serves the endpoint config {present.config} ({runs}), which sageturner did not"
            " create",
            do="to keep it, choose another `name`",
            severity="warning",
            code="ST97",
        )
    if isinstance(now, Server) and isinstance(wanted, Server) and wanted.autoscaling is None:
        count = present.instances[1]
        if present.variants and present.version and count != wanted.initial_instance_count:
            yield Finding(
                f"Deploying sets {name} from {count} to {wanted.initial_instance_count} instances",
                where=where,
                why="the configuration has no `autoscaling`, so `initial_instance_count` holds",
                do=f"to keep them, set `initial_instance_count: {count}`",
                severity="warning",
                code="ST97",
            )
