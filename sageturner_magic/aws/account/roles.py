"""Find and judge the execution role, and what its policies allow."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sageturner_magic.aws.account.evaluation import Document, Permitted, allows, trust_problem
from sageturner_magic.aws.account.role_documents import role_needs, trust_policy
from sageturner_magic.aws.ecr import set_up_at
from sageturner_magic.aws.errors import code, is_aws, refused, statement_for, unless
from sageturner_magic.aws.freshness import Pause, once_seen
from sageturner_magic.aws.names import TAG_CREATED_BY, Names, tag_map
from sageturner_magic.aws.secrets import secret_keys
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.errors import AwsError, Finding, Severity

if TYPE_CHECKING:
    from sageturner_magic.config import Config

STUDIO_METADATA = Path("/opt/ml/metadata/resource-metadata.json")
"""Where SageMaker Studio and notebook instances describe themselves."""

MISSING = r"^NoSuchEntity"
"""How IAM answers when a role or a policy does not exist; for `errors.unless`."""


@dataclass(frozen=True)
class ExecutionRole:
    """An execution role.

    Attributes:
        name: Without a path.
        arn: With it.
        trust: The trust policy; empty where the caller may not read the role.
        tags: Its tags; empty likewise.
        boundary: ARN of its permissions boundary; empty without one.
        verified: Whether the role was seen (False where iam:GetRole is denied).
        created: Seconds since 1970.
    """

    name: str
    arn: str
    trust: Document = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    boundary: str = ""
    verified: bool = True
    created: float = 0.0

    @property
    def ours(self) -> bool:
        return TAG_CREATED_BY in self.tags


def resolve_role(
    session: AwsSession,
    names: Names,
    *,
    role_name: str | None = None,
    role_arn: str | None = None,
    pause: Pause = time.sleep,
) -> ExecutionRole | None:
    """The execution role to use: the user's own where one is named, else the one setup makes.

    Right after `setup` IAM may not show the role yet: then it is read again.

    Permissions: iam:GetRole (denied: the role is looked for with iam:ListRoles, which
    AmazonSageMakerFullAccess has, and else used unseen); those of `set_up_at`.

    Args:
        session: Who asks.
        names: For the default role.
        role_name: `overrides.role_name`.
        role_arn: `overrides.role_arn`; may have a path.
        pause: Waits so many seconds.

    Returns:
        The role; None where it does not exist.

    Raises:
        AwsError: A role of another account, or of another ARN.
    """
    name = role_name or names.role
    where = "overrides.role_name" if role_name else f"role {names.role}"
    if role_arn:
        where = "overrides.role_arn"
        account = role_arn.split(":")[4]
        if account != names.account:
            raise AwsError(
                f"The role belongs to account {account}",
                where=where,
                why=f"you are calling as account {names.account}, and SageMaker takes roles of "
                "the caller's account only",
                do="name a role of this account, or use the profile of that one",
                code="ST73",
            )
        name = role_arn.rpartition("/")[2]
    try:
        with session.call(f"look up the role {name}", where, resource=role_arn or names.role_arn):
            role = new_role(session, names, name, pause=pause)
    except AwsError as error:
        if not refused(error):
            raise
        role = _listed(session, name)
        if role is None:
            unseen = role_arn or replace(names, role=name).role_arn
            return ExecutionRole(name, unseen, verified=False)
    if role and role_arn and role.arn != role_arn:
        raise AwsError(
            f"The role {name} has another ARN",
            where=where,
            why=f"it is {role.arn}",
            do="write that under `overrides.role_arn`",
            code="ST73",
        )
    return role


def role_findings(role: ExecutionRole | None, names: Names) -> tuple[Finding, ...]:
    """Whether SageMaker can use `role`, as far as its own description tells. Calls nothing."""
    if role is None:
        return (
            Finding(
                "The execution role does not exist",
                where=f"role {names.role}",
                do="run `sageturner setup`, or name your own role under `overrides.role_name`; if "
                "setup has just run, run the same command again in a minute: IAM shows new roles "
                "late",
                code="ST73",
            ),
        )
    if not role.verified:
        return (
            Finding(
                f"The role {role.name} could not be checked",
                why="you may not iam:GetRole, and the list of roles does not show it",
                where=role.arn,
                severity="note",
            ),
        )
    if problem := trust_problem(role.trust, names):
        do = "run `sageturner setup`, which repairs it"
        if not role.ours:
            do = "make this its trust policy:\n" + json.dumps(trust_policy(names), indent=2)
        return (
            Finding(
                "SageMaker cannot assume the role", why=problem, where=role.arn, do=do, code="ST73"
            ),
        )
    return ()


def role_policies(session: AwsSession, role_name: str) -> tuple[Document, ...] | None:
    """The documents of all policies of a role; None where the caller may not read them.

    Permissions: iam:ListRolePolicies, iam:GetRolePolicy, iam:ListAttachedRolePolicies,
    iam:GetPolicy, iam:GetPolicyVersion.
    """
    iam = session.iam
    found: list[Document] = []
    try:
        for inline in iam.get_paginator("list_role_policies").paginate(RoleName=role_name):
            found += [inline_policy(session, role_name, name) for name in inline["PolicyNames"]]
        for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=role_name):
            for policy in page["AttachedPolicies"]:
                arn = policy["PolicyArn"]
                version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
                answer = iam.get_policy_version(PolicyArn=arn, VersionId=version)
                found.append(_parsed(answer["PolicyVersion"].get("Document", {})))
    except Exception as error:
        if is_aws(error) and code(error).startswith(("AccessDenied", "NoSuchEntity")):
            return None
        raise
    return tuple(found)


def endpoint_findings(
    session: AwsSession,
    role: ExecutionRole,
    names: Names,
    config: Config | None = None,
    *,
    pause: Pause = time.sleep,
) -> tuple[Finding, ...]:
    """Whether endpoints of this region can start with the role; see `role_needs`.

    Right after `setup` IAM may not show its policies yet: then they are read again.

    A role that setup did not create may be allowed in ways that its policies do not show, such as
    by the repository's own policy: what it is not allowed is a warning.

    Permissions: those of `role_policies`; where they are missing the answer is a note; those of
    `secret_keys` and `set_up_at`.
    """
    keys = secret_keys(session, config.secrets.values()) if config else ()
    found = once_seen(
        lambda: access_findings(
            session,
            role,
            role_needs(names, config, keys),
            f"role {role.name}",
            do=f"run `sageturner setup --region {names.region}`, which adds it to the role; if it "
            "has just run, run the same command again in a minute: IAM shows new policies late",
        ),
        lambda findings: not any(each.severity == "error" for each in findings),
        lambda: max(role.created, set_up_at(session, names)),
        pause=pause,
    )
    if role.ours:
        return found
    return tuple(
        replace(each, severity="warning") if each.severity == "error" else each for each in found
    )


def access_findings(
    session: AwsSession,
    role: ExecutionRole,
    needs: Sequence[tuple[str, str]],
    where: str,
    *,
    do: str = "add the statements below to the role, unless the resource's own policy allows it",
) -> tuple[Finding, ...]:
    """Whether the role is allowed each (action, ARN) of `needs`; the missing statements if not.

    Permissions: those of `role_policies`; where they are missing the answer is a note.
    """
    with session.call("read the policies of the execution role", where, resource=role.arn):
        documents = role_policies(session, role.name)
    if documents is None:
        return (
            Finding(
                f"It could not be checked what the role {role.name} is allowed",
                why="you may not read the role's policies",
                where=where,
                severity="note",
            ),
        )
    verdicts = [(allows(documents, *need), need) for need in needs]
    severities: dict[Permitted, Severity] = {"no": "error", "maybe": "warning"}
    return tuple(
        _not_allowed(role, missing, where, severity, do)
        for verdict, severity in severities.items()
        if (missing := [need for found, need in verdicts if found == verdict])
    )


def _not_allowed(
    role: ExecutionRole,
    missing: Sequence[tuple[str, str]],
    where: str,
    severity: Severity,
    do: str,
) -> Finding:
    actions: dict[str, list[str]] = {}
    for action, resource in missing:
        actions.setdefault(resource, []).append(action)
    named = ", ".join(dict.fromkeys(action for action, _ in missing))
    places = ", ".join(actions)
    certain = severity == "error"
    return Finding(
        f"The role {role.name} {'does' if certain else 'may'} not allow {named} on {places}",
        why="no policy of the role allows it"
        if certain
        else "a policy of the role decides it by a condition",
        do=do,
        where=where,
        severity=severity,
        details="\n".join(json.dumps(statement_for(a, r), indent=2) for r, a in actions.items()),
        code="ST72",
    )


def studio_role(session: AwsSession, metadata: Path = STUDIO_METADATA) -> str | None:
    """The ARN of the role that this notebook runs as in SageMaker Studio; None elsewhere.

    Permissions: iam:GetRole (denied: iam:ListRoles; that denied, too: the ARN is put together).
    """
    if metadata.is_file():
        try:
            arn = json.loads(metadata.read_text(encoding="utf-8")).get("ExecutionRoleArn")
        except ValueError:
            arn = None
        if arn:
            return str(arn)
    match = re.fullmatch(r"assumed-role/(?P<role>[^/]+)/SageMaker", session.caller)
    if not match:
        return None
    name = match["role"]
    try:
        role = find_role(session, name)
    except Exception as error:
        if not is_aws(error):
            raise
        role = _listed(session, name)
    if role:
        return role.arn
    # Roles that the SageMaker console makes lie below this path.
    path = "service-role/" if name.startswith("AmazonSageMaker-ExecutionRole-") else ""
    return f"arn:{session.partition}:iam::{session.account}:role/{path}{name}"


def find_role(session: AwsSession, name: str) -> ExecutionRole | None:
    """The role of that name, whatever its path; None where there is none.

    Permissions: iam:GetRole.
    """
    answer = unless(MISSING, lambda: session.iam.get_role(RoleName=name))
    if answer is None:
        return None
    return _role_of(answer["Role"])


def new_role(
    session: AwsSession, names: Names, name: str, *, pause: Pause = time.sleep
) -> ExecutionRole | None:
    """Like `find_role`, but wait for a role that `setup` has just created.

    Permissions: iam:GetRole; those of `set_up_at`.
    """
    return once_seen(
        lambda: find_role(session, name),
        lambda role: role is not None,
        lambda: set_up_at(session, names),
        pause=pause,
    )


def _role_of(role: Mapping[str, Any]) -> ExecutionRole:
    return ExecutionRole(
        name=role["RoleName"],
        arn=role["Arn"],
        trust=_parsed(role.get("AssumeRolePolicyDocument", {})),
        tags=tag_map(role.get("Tags", [])),
        boundary=role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
        created=role["CreateDate"].timestamp(),
    )


def _listed(session: AwsSession, name: str) -> ExecutionRole | None:
    """The role as the list of all roles has it; None where it is not in it, or no list is given."""
    try:
        for page in session.iam.get_paginator("list_roles").paginate():
            for role in page["Roles"]:
                if role["RoleName"] == name:
                    return _role_of(role)
    except Exception as error:
        if not is_aws(error):
            raise
    return None


def inline_policy(session: AwsSession, role: str, policy: str) -> Document:
    """An inline policy of a role; empty where there is none. Permissions: iam:GetRolePolicy."""
    answer = unless(MISSING, lambda: session.iam.get_role_policy(RoleName=role, PolicyName=policy))
    return _parsed(answer["PolicyDocument"]) if answer else {}


def _parsed(document: object) -> Document:
    # botocore decodes policies into dictionaries; a document that is no JSON stays text.
    return document if isinstance(document, dict) else json.loads(str(document))
