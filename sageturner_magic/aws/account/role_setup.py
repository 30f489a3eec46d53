"""Create, repair, share and remove the execution role.

The role that setup creates carries our tag. To a role of somebody else's making only the policy
of the region is added, and only that is removed again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sageturner_magic.aws.account import role_documents as documents
from sageturner_magic.aws.account.evaluation import Document
from sageturner_magic.aws.account.role_documents import NOTHING, Extras
from sageturner_magic.aws.account.roles import (
    MISSING,
    ExecutionRole,
    find_role,
    inline_policy,
    new_role,
)
from sageturner_magic.aws.ecr import set_up_at
from sageturner_magic.aws.errors import patiently, refused, unless
from sageturner_magic.aws.freshness import CONSISTENCY_S, once_seen
from sageturner_magic.aws.names import Names, own_tags, tag_list
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.errors import AwsError


def ensure_role(
    session: AwsSession, names: Names, extras: Extras = NOTHING, *, boundary: str | None = None
) -> tuple[ExecutionRole, tuple[str, ...]]:
    """Create the execution role, or repair ours, and give it what this region's endpoints need.

    Nothing that the role has is narrowed: other regions have policies of their own, other projects
    of this region statements of their own, and what an earlier version wrote is moved there.

    Permissions: iam:GetRole, iam:CreateRole, iam:TagRole, iam:UpdateAssumeRolePolicy,
    iam:PutRolePermissionsBoundary, iam:GetRolePolicy, iam:PutRolePolicy, iam:DeleteRolePolicy,
    iam:ListAttachedRolePolicies.

    Args:
        session: Who asks.
        names: The role, its path, and the bucket and repository that it may read.
        extras: What the configuration needs besides.
        boundary: ARN of the permissions boundary; None leaves the role's as it is.

    Returns:
        The role, and a line for everything that was changed or is noteworthy.

    Raises:
        AwsError: A call failed.
    """
    notes: list[str] = []
    with session.call("set up the execution role", f"role {names.role}", resource=names.role_arn):
        found = find_role(session, names.role)
        if found is None:
            found = _create(session, names, boundary)
            notes.append(f"created role {names.role}")
        elif found.ours:
            notes += _repair(session, names, found, boundary)
        if found.ours:
            return found, (*notes, *_equip(session, names, extras), *_unneeded(session, names.role))
    try:
        with session.call("add to the role", f"role {found.name}", resource=found.arn):
            notes += _equip(session, names, extras)
    except AwsError as error:
        # Whoever keeps the role may have allowed all of it in another way.
        if not refused(error):
            raise
        notes.append(
            f"left role {found.name} as it is: you may not add to it. It needs what `sageturner "
            "setup --show-policy` prints as `role`"
        )
    return found, tuple(notes)


def _equip(session: AwsSession, names: Names, extras: Extras) -> list[str]:
    """Give the role what this project needs; a line for each change."""
    notes = _move_former(session, names)
    if _add(session, names, extras):
        notes.append(f"gave role {names.role} the policy {documents.policy_name(names)}")
    return notes


@dataclass(frozen=True)
class RoleShare:
    """Who needs an execution role beside the project that is being removed.

    Attributes:
        role: None where there is none.
        parts: Policy name -> what stays in it; None where it goes.
        others: The projects of this and other regions that go on using the role.
    """

    role: ExecutionRole | None
    parts: Mapping[str, Document | None]
    others: tuple[Names, ...]

    @property
    def line(self) -> str:
        """What goes, in words; empty where nothing does."""
        if self.role and self.role.ours and not self.others:
            return f"role {self.role.name}"
        gone = [name for name, left in self.parts.items() if left is None]
        if not self.role or not gone:
            return ""
        return f"policy {', '.join(gone)} of role {self.role.name}, which stays"

    def uses_repository(self, names: Names) -> bool:
        """Whether another project of the region keeps its images in this repository."""
        return any(
            (o.region, o.repository) == (names.region, names.repository) for o in self.others
        )

    def uses_bucket(self, names: Names) -> bool:
        """Whether another project keeps its artefacts in this bucket."""
        return any(other.bucket == names.bucket for other in self.others)


def role_share(session: AwsSession, names: Names) -> RoleShare:
    """Find out what teardown may take from the execution role. Changes nothing.

    Permissions: iam:GetRole, iam:ListRolePolicies, iam:GetRolePolicy; those of `set_up_at`.
    """
    with session.call("look up the execution role", f"role {names.role}", resource=names.role_arn):
        role = new_role(session, names, names.role)
        if role is None:
            return RoleShare(None, {}, ())
        parts = once_seen(
            lambda: _parts(session, role.name),
            lambda found: found.get(documents.policy_name(names)),
            lambda: set_up_at(session, names),
        )
        return _share(names, role, parts)


def _parts(session: AwsSession, role: str) -> dict[str, Document]:
    """The policies of a role that setup wrote, by name."""
    pages = session.iam.get_paginator("list_role_policies").paginate(RoleName=role)
    names = [name for page in pages for name in page["PolicyNames"] if documents.is_part(name)]
    return {name: inline_policy(session, role, name) for name in names}


def _share(names: Names, role: ExecutionRole, parts: Mapping[str, Document]) -> RoleShare:
    """Tell what of the role's policies is this project's alone. Pure."""
    leaving: dict[str, Document | None] = {}
    others: list[Names] = []
    for policy, document in parts.items():
        if policy == documents.FORMER_NAME:
            former = documents.former_project(document, names)
            if former == names:
                leaving[policy] = None
            elif former:
                others.append(former)
            continue
        region = policy.removeprefix("sageturner-")
        users = documents.projects(document, replace(names, region=region))
        if names in users:
            leaving[policy] = documents.removed(document, names)
        others += [each for each in users if each != names]
    return RoleShare(role, leaving, tuple(others))


def release_role(session: AwsSession, names: Names) -> tuple[str, ...]:
    """Take this project's part from the execution role, and delete a role of ours nobody needs.

    IAM refuses to delete a role that has policies, also those that it does not show yet: then the
    role is judged again, for a minute.

    Permissions: iam:GetRole, iam:ListRolePolicies, iam:GetRolePolicy, iam:PutRolePolicy,
    iam:DeleteRolePolicy, iam:ListAttachedRolePolicies, iam:DetachRolePolicy, iam:DeleteRole.

    Returns:
        A line for what was done.
    """
    with session.call("remove the execution role", f"role {names.role}", resource=names.role_arn):
        return patiently(
            r"^DeleteConflict", lambda: _release(session, names), seconds=CONSISTENCY_S
        )


def _release(session: AwsSession, names: Names) -> tuple[str, ...]:
    share = role_share(session, names)
    if share.role is None:
        return ()
    if share.role.ours and not share.others:
        _delete(session, names.role)
        return (f"deleted role {names.role}",)
    for policy, left in share.parts.items():
        if left:
            _put(session, names.role, policy, left)
        else:
            session.iam.delete_role_policy(RoleName=names.role, PolicyName=policy)
    regions = sorted({other.region for other in share.others})
    why = f"which {', '.join(regions)} needs" if regions else "which sageturner did not create"
    gone = f"removed its policy {', '.join(share.parts)} and " if share.parts else ""
    return (f"{gone}kept role {names.role}, {why}",)


def _create(session: AwsSession, names: Names, boundary: str | None) -> ExecutionRole:
    limited: dict[str, Any] = {"PermissionsBoundary": boundary} if boundary else {}
    trust = documents.trust_policy(names)
    session.iam.create_role(
        RoleName=names.role,
        Path=names.role_path,
        AssumeRolePolicyDocument=json.dumps(trust),
        Description="Lets SageMaker run endpoints that sageturner deployed",
        Tags=tag_list(own_tags(session)),  # type: ignore[arg-type]
        **limited,
    )
    own = dict.fromkeys(own_tags(session), "")
    seen = once_seen(lambda: find_role(session, names.role), bool, time.time)
    return seen or ExecutionRole(names.role, names.role_arn, trust, own, created=time.time())


def _repair(
    session: AwsSession, names: Names, role: ExecutionRole, boundary: str | None
) -> list[str]:
    notes, trust = [], documents.trust_policy(names)
    if role.trust != trust:
        session.iam.update_assume_role_policy(RoleName=role.name, PolicyDocument=json.dumps(trust))
        notes.append(f"repaired the trust policy of role {role.name}")
    if boundary and role.boundary != boundary:
        session.iam.put_role_permissions_boundary(RoleName=role.name, PermissionsBoundary=boundary)
        notes.append(f"set the permissions boundary of role {role.name}")
    return notes


def _move_former(session: AwsSession, names: Names) -> list[str]:
    """Move what an earlier version wrote to the policy of its region, without a gap."""
    former = inline_policy(session, names.role, documents.FORMER_NAME)
    project = documents.former_project(former, names) if former else None
    if project is None:
        return []
    _add(session, project, NOTHING)
    session.iam.delete_role_policy(RoleName=names.role, PolicyName=documents.FORMER_NAME)
    moved = f"moved the policy {documents.FORMER_NAME} of role {names.role}"
    return [f"{moved} to {documents.policy_name(project)}"]


def _add(session: AwsSession, names: Names, extras: Extras) -> bool:
    """Add what this project needs to the policy of its region; False where it is there."""
    policy = documents.policy_name(names)
    present = inline_policy(session, names.role, policy)
    wanted = documents.added(present, documents.execution_policy(names, extras))
    if present == wanted:
        return False
    _put(session, names.role, policy, wanted)
    return True


def _put(session: AwsSession, role: str, policy: str, document: Document) -> None:
    session.iam.put_role_policy(
        RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document)
    )


def _unneeded(session: AwsSession, role: str) -> list[str]:
    attached = session.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    return [
        f"role {role} also has the policy {more['PolicyName']}, which endpoints do not need: "
        "detach it unless you attached it on purpose"
        for more in attached
    ]


def _delete(session: AwsSession, role: str) -> None:
    iam = session.iam
    for inline in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role, PolicyName=inline)
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=role, PolicyArn=policy["PolicyArn"])
    unless(MISSING, lambda: iam.delete_role(RoleName=role))
