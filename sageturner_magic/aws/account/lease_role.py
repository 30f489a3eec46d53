"""Create, check and remove the role with which EventBridge Scheduler ends leases.

One role serves all leases of an account. It may do one thing: delete endpoints that carry the tag
of a lease. An endpoint without that tag is safe, whatever its name.
"""

from __future__ import annotations

import json
import time
from typing import Any

from sageturner_magic.aws.account.evaluation import Document
from sageturner_magic.aws.account.roles import MISSING, ExecutionRole, find_role, inline_policy
from sageturner_magic.aws.errors import refused, unless
from sageturner_magic.aws.freshness import once_seen
from sageturner_magic.aws.names import TAG_LEASE, Names, own_tags, tag_list
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.errors import AwsError, Finding

SCHEDULER = "scheduler.amazonaws.com"
POLICY = "sageturner-leases"


def lease_trust(names: Names) -> Document:
    """Let the scheduler of this account assume the role, and that of no other account.

    Source: EventBridge Scheduler user guide, "Confused deputy prevention".
    """
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": SCHEDULER},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": names.account}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def lease_policy(names: Names) -> Document:
    """Let the role delete the endpoints that have a lease, in every region, and nothing else."""
    statement = {
        "Sid": "DeleteLeasedEndpoints",
        "Effect": "Allow",
        "Action": ["sagemaker:DeleteEndpoint"],
        "Resource": f"arn:{names.partition}:sagemaker:*:{names.account}:endpoint/*",
        "Condition": {"Null": {f"aws:ResourceTag/{TAG_LEASE}": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def ensure_lease_role(
    session: AwsSession, names: Names, *, boundary: str | None = None
) -> tuple[str, ...]:
    """Create the role for leases, or repair it.

    Permissions: iam:GetRole, iam:CreateRole, iam:TagRole, iam:UpdateAssumeRolePolicy,
    iam:GetRolePolicy, iam:PutRolePolicy.

    Returns:
        A line for everything that was changed.
    """
    name, trust, notes = names.lease_role, lease_trust(names), list[str]()
    with session.call("set up the role for leases", f"role {name}", resource=names.lease_role_arn):
        found = find_role(session, name)
        if found is None:
            limited: dict[str, Any] = {"PermissionsBoundary": boundary} if boundary else {}
            session.iam.create_role(
                RoleName=name,
                Path=names.role_path,
                AssumeRolePolicyDocument=json.dumps(trust),
                Description="Lets EventBridge Scheduler delete endpoints whose lease has ended",
                Tags=tag_list(own_tags(session)),  # type: ignore[arg-type]
                **limited,
            )
            once_seen(lambda: find_role(session, name), bool, time.time)
            notes.append(f"created role {name}")
        elif found.trust != trust:
            session.iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
            notes.append(f"repaired the trust policy of role {name}")
        if inline_policy(session, name, POLICY) != lease_policy(names):
            session.iam.put_role_policy(
                RoleName=name, PolicyName=POLICY, PolicyDocument=json.dumps(lease_policy(names))
            )
            notes.append(f"gave role {name} the policy {POLICY}")
    return tuple(notes)


def lease_role_findings(session: AwsSession, names: Names) -> tuple[Finding, ...]:
    """Whether the role for leases exists; nothing where the caller may not see it.

    Permissions: iam:GetRole.
    """
    try:
        role = _find(session, names)
    except AwsError as error:
        if not refused(error):
            raise
        return ()
    if role and role.trust == lease_trust(names):
        return ()
    return (
        Finding(
            f"The role for leases {'has another trust policy' if role else 'does not exist'}",
            where="lease",
            why=f"EventBridge Scheduler deletes the endpoint with the role {names.lease_role}",
            do="run `sageturner setup` with a configuration that has `lease`, such as `lease: 8h`",
            code="ST73",
        ),
    )


def our_lease_role(session: AwsSession, names: Names) -> str:
    """The name of the role for leases that setup created; empty where none can be seen.

    Permissions: iam:GetRole; without it nothing is seen.
    """
    try:
        role = _find(session, names)
    except AwsError as error:
        if not refused(error):
            raise
        return ""
    return role.name if role and role.ours else ""


def release_lease_role(session: AwsSession, names: Names) -> tuple[str, ...]:
    """Delete the role for leases, if setup created it.

    Permissions: iam:GetRole, iam:DeleteRolePolicy, iam:DeleteRole.
    """
    if not (name := our_lease_role(session, names)):
        return ()
    with session.call("remove the role for leases", f"role {name}", resource=names.lease_role_arn):
        unless(MISSING, lambda: session.iam.delete_role_policy(RoleName=name, PolicyName=POLICY))
        unless(MISSING, lambda: session.iam.delete_role(RoleName=name))
    return (f"deleted role {name}",)


def _find(session: AwsSession, names: Names) -> ExecutionRole | None:
    name = names.lease_role
    with session.call("look up the role for leases", f"role {name}", resource=names.lease_role_arn):
        return find_role(session, name)
