"""Find, create, repair and check the execution role, and the permissions of the caller."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sageturner_magic.aws.account.evaluation import SERVICE, Document, allows, trust_problem
from sageturner_magic.aws.errors import code, is_aws, refused, statement_for, unless
from sageturner_magic.aws.names import TAG_CREATED_BY, Names, own_tags, tag_list, tag_map
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.errors import AwsError, Finding

POLICY_NAME = "sageturner"
STUDIO_METADATA = Path("/opt/ml/metadata/resource-metadata.json")
"""Where SageMaker Studio and notebook instances describe themselves."""

_MISSING = r"^NoSuchEntity"

VPC_ACTIONS = (
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)
"""What an execution role needs for `network` (SageMaker developer guide, "SageMaker roles")."""


@dataclass(frozen=True)
class ExecutionRole:
    """An execution role.

    Attributes:
        name: Without a path.
        arn: With it.
        trust: The trust policy; empty where the caller may not read the role.
        tags: Its tags; empty likewise.
        verified: Whether the role was seen (False where iam:GetRole is denied).
    """

    name: str
    arn: str
    trust: Document = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    verified: bool = True

    @property
    def ours(self) -> bool:
        return TAG_CREATED_BY in self.tags


def trust_policy(account: str) -> Document:
    """Lets SageMaker assume the role for this account, and for no other."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": SERVICE},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            }
        ],
    }


def execution_policy(names: Names) -> Document:
    """What an endpoint needs at run time, and nothing more."""
    repository = names.arn("ecr", f"repository/{names.repository}")
    return _document(
        _allow("ReadArtefacts", ["s3:GetObject"], f"{names.bucket_arn}/*"),
        _allow("ListArtefacts", ["s3:ListBucket"], names.bucket_arn),
        _allow("SignInToRegistry", ["ecr:GetAuthorizationToken"], "*"),
        _allow(
            "PullImages",
            [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
            repository,
        ),
        _allow(
            "WriteLogs",
            [
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogStreams",
                "logs:PutLogEvents",
            ],
            names.arn("logs", "log-group:/aws/sagemaker/*"),
        ),
        {
            **_allow("WriteMetrics", ["cloudwatch:PutMetricData"], "*"),
            "Condition": {
                "StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "sageturner*"]}
            },
        },
    )


def ensure_role(session: AwsSession, names: Names) -> tuple[ExecutionRole, tuple[str, ...]]:
    """Create the execution role, or repair one that carries our tag.

    Permissions: iam:GetRole, iam:CreateRole, iam:TagRole, iam:UpdateAssumeRolePolicy,
    iam:GetRolePolicy, iam:PutRolePolicy, iam:ListAttachedRolePolicies.

    Returns:
        The role, and a line for everything that was changed or is noteworthy.

    Raises:
        AwsError: A role of that name exists and is not ours; a call failed.
    """
    where = f"role {names.role}"
    notes: list[str] = []
    trust, policy = trust_policy(names.account), execution_policy(names)
    with session.call("set up the execution role", where, resource=names.role_arn):
        found = _get(session, names.role)
        if found is None:
            session.iam.create_role(
                RoleName=names.role,
                AssumeRolePolicyDocument=json.dumps(trust),
                Description="Lets SageMaker run endpoints that sageturner deployed",
                Tags=tag_list(own_tags(session)),  # type: ignore[arg-type]
            )
            notes.append(f"created role {names.role}")
            found = _get(session, names.role) or ExecutionRole(names.role, names.role_arn, trust)
        elif not found.ours:
            raise AwsError(
                f"The role {names.role} was not made by sageturner",
                where=where,
                why=f"it has no tag {TAG_CREATED_BY}",
                do=f"use it as it is with `overrides: {{role_name: {names.role}}}`, "
                "or rename or delete it and run setup again",
            )
        elif found.trust != trust:
            session.iam.update_assume_role_policy(
                RoleName=names.role, PolicyDocument=json.dumps(trust)
            )
            notes.append(f"mended the trust policy of role {names.role}")
        if _inline(session, names.role, POLICY_NAME) != policy:
            session.iam.put_role_policy(
                RoleName=names.role, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(policy)
            )
            notes.append(f"wrote the least-privilege policy of role {names.role}")
        attached = session.iam.list_attached_role_policies(RoleName=names.role)
        notes.extend(
            f"role {names.role} also has the policy {more['PolicyName']}, which endpoints do not "
            "need: detach it unless you attached it on purpose"
            for more in attached["AttachedPolicies"]
        )
    return found, tuple(notes)


def resolve_role(
    session: AwsSession, names: Names, *, role_name: str | None = None, role_arn: str | None = None
) -> ExecutionRole | None:
    """The execution role to use: the user's own where one is named, else the one setup makes.

    Permissions: iam:GetRole (denied: the role is looked for with iam:ListRoles, which
    AmazonSageMakerFullAccess has, and else used unseen).

    Args:
        session: Who asks.
        names: For the default role.
        role_name: `overrides.role_name`.
        role_arn: `overrides.role_arn`; may have a path.

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
            )
        name = role_arn.rpartition("/")[2]
    try:
        with session.call(f"look up the role {name}", where, resource=role_arn or names.role_arn):
            role = _get(session, name)
    except AwsError as error:
        if not refused(error):
            raise
        role = _listed(session, name)
        if role is None:
            unseen = role_arn or f"arn:{names.partition}:iam::{names.account}:role/{name}"
            return ExecutionRole(name, unseen, verified=False)
    if role and role_arn and role.arn != role_arn:
        raise AwsError(
            f"The role {name} has another ARN",
            where=where,
            why=f"it is {role.arn}",
            do="write that under `overrides.role_arn`",
        )
    return role


def role_findings(role: ExecutionRole | None, names: Names) -> tuple[Finding, ...]:
    """Whether SageMaker can use `role`, as far as its own description tells. Calls nothing."""
    if role is None:
        return (
            Finding(
                "The execution role does not exist",
                where=f"role {names.role}",
                do="run `sageturner setup`, or name your own role under `overrides.role_name`",
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
    if problem := trust_problem(role.trust, names.account):
        do = "run `sageturner setup`, which mends it"
        if not role.ours:
            do = "let its trust policy be:\n" + json.dumps(trust_policy(names.account), indent=2)
        return (Finding("SageMaker cannot assume the role", why=problem, where=role.arn, do=do),)
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
            found += [_inline(session, role_name, name) for name in inline["PolicyNames"]]
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


def access_findings(
    session: AwsSession, role: ExecutionRole, needs: Sequence[tuple[str, str]], where: str
) -> tuple[Finding, ...]:
    """Whether the role is allowed each (action, ARN) of `needs`; the missing statement if not.

    Permissions: those of `role_policies`; where they are missing the answer is a note.
    """
    with session.call("read the policies of the execution role", where, resource=role.arn):
        documents = role_policies(session, role.name)
    if documents is None:
        return (
            Finding(
                f"It could not be checked whether the role {role.name} may read it",
                why="you may not read the role's policies",
                where=where,
                severity="note",
            ),
        )
    findings = []
    for action, resource in needs:
        verdict = allows(documents, action, resource)
        if verdict != "yes":
            findings.append(
                Finding(
                    f"The role {role.name} lacks {action} on {resource}"
                    if verdict == "no"
                    else f"The role {role.name} may lack {action} on {resource}",
                    why="no policy of the role allows it"
                    if verdict == "no"
                    else "a policy of the role decides it by a condition",
                    do="add the statement below to the role, unless the resource's own policy "
                    "allows it",
                    where=where,
                    severity="error" if verdict == "no" else "warning",
                    details=json.dumps(statement_for([action], resource), indent=2),
                )
            )
    return tuple(findings)


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
        role = _get(session, name)
    except Exception as error:
        if not is_aws(error):
            raise
        role = _listed(session, name)
    if role:
        return role.arn
    # Roles that the SageMaker console makes lie below this path.
    path = "service-role/" if name.startswith("AmazonSageMaker-ExecutionRole-") else ""
    return f"arn:{session.partition}:iam::{session.account}:role/{path}{name}"


def delete_role(session: AwsSession, names: Names) -> tuple[str, ...]:
    """Delete the role that setup made; nothing where it is gone or not ours.

    Permissions: iam:GetRole, iam:ListRolePolicies, iam:DeleteRolePolicy,
    iam:ListAttachedRolePolicies, iam:DetachRolePolicy, iam:DeleteRole.

    Returns:
        A line for what was done.
    """
    iam, name = session.iam, names.role
    with session.call("delete the execution role", f"role {name}", resource=names.role_arn):
        role = _get(session, name)
        if role is None:
            return ()
        if not role.ours:
            return (f"kept role {name}, which sageturner did not make",)
        for inline in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=inline)
        for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
        unless(_MISSING, lambda: iam.delete_role(RoleName=name))
    return (f"deleted role {name}",)


def _get(session: AwsSession, name: str) -> ExecutionRole | None:
    answer = unless(_MISSING, lambda: session.iam.get_role(RoleName=name))
    if answer is None:
        return None
    return _role_of(answer["Role"])


def _role_of(role: Mapping[str, Any]) -> ExecutionRole:
    return ExecutionRole(
        name=role["RoleName"],
        arn=role["Arn"],
        trust=_parsed(role.get("AssumeRolePolicyDocument", {})),
        tags=tag_map(role.get("Tags", [])),
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


def _inline(session: AwsSession, role: str, policy: str) -> Document:
    answer = unless(_MISSING, lambda: session.iam.get_role_policy(RoleName=role, PolicyName=policy))
    return _parsed(answer["PolicyDocument"]) if answer else {}


def _parsed(document: object) -> Document:
    # botocore decodes policies into dictionaries; a document that is no JSON stays text.
    return document if isinstance(document, dict) else json.loads(str(document))


def _document(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(sid: str, actions: list[str], resource: str | list[str]) -> Document:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
