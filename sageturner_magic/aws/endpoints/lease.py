"""Give an endpoint a lease: EventBridge Scheduler deletes it at the end, whoever has gone home.

A lease is two things: a one-time schedule of the endpoint's name, which holds the end, and the tag
`sageturner:lease` on the endpoint, without which the schedule's role may not delete it. The
schedule always comes before the tag, so an endpoint that has the tag has a schedule, wherever a
deployment breaks off. It goes before the tag, too; a tag without a schedule is shown as such.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from sageturner_magic.aws.endpoints.budget import read_spending
from sageturner_magic.aws.endpoints.endpoint import (
    NOT_FOUND,
    EndpointState,
    endpoint_arn,
    find_endpoint,
    our_endpoint,
    refuse_protected,
    tag_endpoint,
    tags_of,
)
from sageturner_magic.aws.errors import code, is_aws, patiently, unless
from sageturner_magic.aws.freshness import CONSISTENCY_S
from sageturner_magic.aws.names import TAG_LEASE, Names, schedule_name
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.config import lease_seconds
from sageturner_magic.errors import EndpointError

TARGET = "aws-sdk:sagemaker:deleteEndpoint"
"""A universal target (EventBridge Scheduler user guide, "Using universal targets")."""

_MISSING = r"^ResourceNotFoundException"
_ROLE_NOT_YET = r"must allow AWS EventBridge Scheduler to assume"
RENEWAL_S = 600.0
"""Use moves the end of a lease by so much at least, so that AWS is not called for each request."""

_RETRIES = {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
"""The most that AWS takes: SageMaker deletes no endpoint that is being changed."""


@dataclass(frozen=True)
class Lease:
    """The lease of an endpoint. Attributes: end, in seconds since 1970; role, the schedule's."""

    end: float
    role: str


def put_lease(
    session: AwsSession,
    name: str,
    end: float,
    role_arn: str,
    *,
    pause: Callable[[float], None] = time.sleep,
    say: Callable[[str], object] = lambda line: None,
) -> None:
    """Schedule the deletion of endpoint `name`, which need not exist yet, or move it.

    Permissions: scheduler:CreateSchedule, scheduler:UpdateSchedule, iam:PassRole. Raises AwsError.

    Args:
        session: Who asks.
        name: The endpoint's.
        end: Seconds since 1970.
        role_arn: Of the role that deletes it.
        pause: Called with the seconds to wait while the role is too new.
        say: Told what is waited for.
    """
    request = _request(session, name, _at(end), role_arn)
    with session.call("schedule the end of the lease", f"endpoint {name}", resource=role_arn):

        def put() -> None:
            scheduler = session.scheduler
            if unless(_MISSING, lambda: scheduler.update_schedule(**request)) is None:
                scheduler.create_schedule(**request)

        patiently(_ROLE_NOT_YET, put, seconds=CONSISTENCY_S, pause=pause, say=say)


def check_leases(session: AwsSession, name: str, role_arn: str) -> None:
    """Raise AwsError where the caller may not create the schedule of a lease. Creates nothing.

    The expression is none, so that AWS refuses it: to who may not create schedules as a call that
    is not allowed, to others as invalid. That it looks at permissions first is unproven; without
    it, the deployment fails before it creates the endpoint.

    Permissions: scheduler:CreateSchedule, iam:PassRole.
    """
    request = _request(session, name, "at()", role_arn)
    with session.call("schedule the end of the lease", "lease", resource=role_arn):
        try:
            session.scheduler.create_schedule(**request)
        except Exception as error:
            if not (is_aws(error) and code(error) in ("ValidationException", "ConflictException")):
                raise


def find_lease(session: AwsSession, name: str) -> Lease | None:
    """When the endpoint will be deleted; None where no schedule says so.

    Permissions: scheduler:GetSchedule. Raises AwsError.
    """
    with session.call("read the lease", f"endpoint {name}"):
        found = unless(_MISSING, lambda: session.scheduler.get_schedule(Name=schedule_name(name)))
    if found is None:
        return None
    at = datetime.strptime(found["ScheduleExpression"], "at(%Y-%m-%dT%H:%M:%S)")
    return Lease(at.replace(tzinfo=timezone.utc).timestamp(), found["Target"]["RoleArn"])


def lease_of(session: AwsSession, name: str) -> str:
    """The length of an endpoint's lease, as its tag says; empty without a lease or an endpoint.

    Permissions: sagemaker:ListTags. Raises AwsError.
    """
    arn = endpoint_arn(session, name)
    with session.call("read the tags", f"endpoint {name}", resource=arn):
        return (unless(NOT_FOUND, lambda: tags_of(session, arn)) or {}).get(TAG_LEASE, "")


def renew_lease(session: AwsSession, name: str, length: str, now: float) -> float | None:
    """Move the end of a used endpoint's lease to `length` from now; never to an earlier time.

    Nothing is created: a schedule that somebody removes meanwhile stays away.

    Permissions: scheduler:GetSchedule, scheduler:UpdateSchedule, iam:PassRole.

    Args:
        session: Who asks.
        name: The endpoint's.
        length: As its tag says; one that is no time, such as that of a budget, moves nothing.
        now: Seconds since 1970.

    Returns:
        The end, in seconds since 1970; None where the lease has ended.

    Raises:
        AwsError: A call failed.
    """
    lease = find_lease(session, name)
    if lease is None or lease.end <= now:
        return None
    end = now + lease_seconds(length)
    if end < lease.end + RENEWAL_S:
        return lease.end
    request = _request(session, name, _at(end), lease.role)
    with session.call("move the end of the lease", f"endpoint {name}", resource=lease.role):
        moved = unless(_MISSING, lambda: session.scheduler.update_schedule(**request))
    return end if moved else None


def remove_schedule(session: AwsSession, name: str) -> None:
    """Take the schedule of a lease away; nothing where there is none.

    Permissions: scheduler:DeleteSchedule. Raises AwsError.
    """
    with session.call("remove the lease", f"endpoint {name}"):
        unless(_MISSING, lambda: session.scheduler.delete_schedule(Name=schedule_name(name)))


def mark_leased(session: AwsSession, endpoint: EndpointState, length: str) -> None:
    """Put the tag of a lease on an endpoint whose schedule exists.

    Permissions: sagemaker:AddTags. Raises AwsError.
    """
    tag_endpoint(session, endpoint, {TAG_LEASE: length})


def end_lease(session: AwsSession, endpoint: EndpointState) -> None:
    """Let an endpoint stay: take the schedule away, then the tag.

    A schedule that has begun meanwhile is refused from the moment on that the tag is gone.

    Permissions: scheduler:DeleteSchedule, sagemaker:DeleteTags. Raises AwsError.
    """
    remove_schedule(session, endpoint.name)
    with session.call("untag the endpoint", f"endpoint {endpoint.name}", resource=endpoint.arn):
        session.sagemaker.delete_tags(ResourceArn=endpoint.arn, TagKeys=[TAG_LEASE])


def keep_endpoint(session: AwsSession, name: str) -> bool:
    """Let an endpoint stay until it is deleted; False where it had no lease.

    Permissions: those of `our_endpoint` and `end_lease`.

    Raises:
        EndpointError: It is not there, not ours, or is being deleted.
        AwsError: A call failed.
    """
    endpoint = _there(our_endpoint(session, name))
    if TAG_LEASE not in endpoint.tags:
        return False
    end_lease(session, endpoint)
    _there(find_endpoint(session, name) or EndpointState(name, status="Deleting"))
    return True


def extend_lease(
    session: AwsSession, names: Names, name: str, length: str, seconds: float, now: float
) -> float:
    """Let an endpoint end `seconds` from now, or later where its lease is longer.

    Permissions: those of `our_endpoint`, `find_lease`, `put_lease` and `mark_leased`.

    Args:
        session: Who asks.
        names: For the role, where there is no lease yet.
        name: The endpoint's.
        length: `seconds` as the user wrote it.
        seconds: From now.
        now: Seconds since 1970.

    Returns:
        The end, in seconds since 1970.

    Raises:
        EndpointError: It is not there, not ours or protected, or its lease has ended.
        AwsError: A call failed.
    """
    endpoint = _there(our_endpoint(session, name))
    refuse_protected(endpoint)
    if spending := read_spending(endpoint.tags.get(TAG_LEASE, "")):
        raise EndpointError(
            f"{name} has a budget, which decides when it ends",
            where=f"endpoint {name}",
            why=spending.reason,
            do=f"raise `budget` and deploy again, or let it stay with `sageturner keep {name}`",
        )
    lease, leased = find_lease(session, name), TAG_LEASE in endpoint.tags
    if leased and (lease is None or lease.end <= now):
        # A call of the scheduler may be waiting for its retry, and would come after any new end.
        raise EndpointError(
            f"The lease of {name} has ended",
            where=f"endpoint {name}",
            why="EventBridge Scheduler may try to delete it again, for up to 24 hours",
            do=f"run `sageturner keep {name}`, which lets it stay without a lease",
            code="ST84",
        )
    end = max(now + seconds, lease.end if lease and leased else 0.0)
    put_lease(session, name, end, lease.role if lease else names.lease_role_arn)
    if not leased:
        mark_leased(session, endpoint, length)
    try:
        # The former end may have come between the two calls.
        _there(find_endpoint(session, name) or EndpointState(name, status="Deleting"))
    except EndpointError:
        remove_schedule(session, name)
        raise
    return end


def _there(endpoint: EndpointState) -> EndpointState:
    if endpoint.status != "Deleting":
        return endpoint
    raise EndpointError(
        f"{endpoint.name} is being deleted",
        where=f"endpoint {endpoint.name}",
        why="its lease has ended, or somebody deletes it",
        do=f"deploy `{endpoint.name}` again: its image exists, so nothing is built",
        code="ST84",
    )


def _request(session: AwsSession, name: str, expression: str, role_arn: str) -> dict[str, Any]:
    return {
        "Name": schedule_name(name),
        "Description": f"Deletes the SageMaker endpoint {name} at the end of its lease",
        "ScheduleExpression": expression,
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": f"arn:{session.partition}:scheduler:::{TARGET}",
            "RoleArn": role_arn,
            "Input": json.dumps({"EndpointName": name}),
            "RetryPolicy": _RETRIES,
        },
    }


def _at(seconds: float) -> str:
    """The expression of a one-time schedule."""
    when = datetime.fromtimestamp(math.ceil(seconds), timezone.utc)
    return f"at({when:%Y-%m-%dT%H:%M:%S})"
