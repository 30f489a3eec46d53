"""Write the policies of an execution role: whom it trusts, and what the endpoints of a region need.

A role belongs to the whole account, so it has one inline policy for each region. The statements
about a project's bucket and repository carry a mark, by which a second project in the same region
adds its own, and teardown finds them. Pure: nothing here calls AWS.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sageturner_magic.aws.account.evaluation import SERVICE, Document, statements
from sageturner_magic.aws.names import Names
from sageturner_magic.aws.secrets import secret_grants

if TYPE_CHECKING:
    from sageturner_magic.config import Config

FORMER_NAME = "sageturner"
"""The one inline policy that setup wrote before it wrote one for each region."""

_FORMER_SIDS = frozenset(
    ("ReadArtefacts", "ListArtefacts", "SignInToRegistry", "PullImages", "WriteLogs")
)
_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


@dataclass(frozen=True)
class Extras:
    """What some endpoints need of their role beside images, artefacts and logs.

    Attributes:
        network: They run in a VPC of the user's own.
        bucket_key: Id, ARN or alias of the KMS key that encrypts the bucket; empty for AWS's own.
        secrets: References of `secrets`.
        secret_keys: ARNs of the KMS keys of one's own that encrypt these secrets.
    """

    network: bool = False
    bucket_key: str = ""
    secrets: tuple[str, ...] = ()
    secret_keys: tuple[str, ...] = ()


NOTHING = Extras()


def trust_policy(names: Names) -> Document:
    """Let SageMaker assume the role for this account's resources, and for no other account.

    Source: SageMaker developer guide, "Cross-service confused deputy prevention".
    """
    source = f"arn:{names.partition}:sagemaker:*:{names.account}:*"
    return _document(
        {
            "Effect": "Allow",
            "Principal": {"Service": SERVICE},
            "Action": "sts:AssumeRole",
            "Condition": {"ArnLike": {"aws:SourceArn": source}},
        }
    )


def execution_policy(names: Names, extras: Extras = NOTHING) -> Document:
    """What the endpoints of a project need in its region, and nothing more."""
    mark = _mark(names)
    found = [
        _allow(f"ReadArtefacts{mark}", ["s3:GetObject"], f"{names.bucket_arn}/*"),
        _allow(f"ListArtefacts{mark}", ["s3:ListBucket"], names.bucket_arn),
        _allow(f"PullImages{mark}", list(_PULL), _repository(names)),
        _allow("SignInToRegistry", ["ecr:GetAuthorizationToken"], "*"),
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
    ]
    if extras.bucket_key:
        decrypt = ["kms:Decrypt"]
        found.append(key_statement(f"DecryptArtefacts{mark}", decrypt, extras.bucket_key, names))
    # A statement for each, so that those of other configurations stay.
    for each in secret_grants(extras.secrets, names):
        found.append(_allow(f"ReadSecret{_short(each.arn)}{mark}", [each.action], each.arn))
    for key in extras.secret_keys:
        sid = f"DecryptSecret{_short(key)}{mark}"
        found.append(key_statement(sid, ["kms:Decrypt"], key, names))
    if extras.network:
        found += network_statements(names)
    return _document(*found)


def network_statements(names: Names) -> list[Document]:
    """What an execution role needs for `network`.

    Source: SageMaker developer guide, "SageMaker AI roles", CreateModel with a VPC; the resources
    are those of the service authorization reference for EC2.
    """
    interfaces = names.arn("ec2", "network-interface/*")
    # Subnets and security groups may be shared by another account.
    shared = [f"arn:{names.partition}:ec2:{names.region}:*:{kind}/*" for kind in _PLACES]
    return [
        _allow("CreateNetworkInterface", ["ec2:CreateNetworkInterface"], [interfaces, *shared]),
        _allow(
            "UseNetworkInterface",
            [
                "ec2:CreateNetworkInterfacePermission",
                "ec2:DeleteNetworkInterface",
                "ec2:DeleteNetworkInterfacePermission",
            ],
            interfaces,
        ),
        _allow(
            "SeeNetwork",
            [
                "ec2:DescribeDhcpOptions",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
            ],
            "*",
        ),
    ]


_PLACES = ("subnet", "security-group")


def key_statement(sid: str, actions: list[str], key: str, names: Names) -> Document:
    """Allow `actions` on a KMS key, which may be given as an id, an ARN or an alias.

    IAM takes keys only; one that is named by an alias is found by the condition
    kms:ResourceAliases (KMS developer guide, "Controlling access with aliases").
    """
    whole = key if key.startswith("arn:") else names.arn("kms", key)
    place, _, named = whole.rpartition(":")
    if named.startswith("alias/"):
        condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": named}}
        return {**_allow(sid, actions, f"{place}:key/*"), "Condition": condition}
    return _allow(sid, actions, f"{place}:key/{named.removeprefix('key/')}")


def role_needs(
    names: Names, config: Config | None = None, secret_keys: Iterable[str] = ()
) -> tuple[tuple[str, str], ...]:
    """The (action, ARN) that the role must be allowed, or an endpoint cannot start.

    Args:
        names: Bucket and repository.
        config: Where the artefact is, and whether there is a network; any endpoint without one.
        secret_keys: ARNs of KMS keys. Which key an alias means only KMS knows: it is passed over.
    """
    needs = [(action, _repository(names)) for action in _PULL]
    if config is None or (config.named_artefact and not config.s3_artefact):
        needs.append(("s3:GetObject", f"{names.bucket_arn}/artefacts/*"))
    if config:
        needs += [(each.action, each.arn) for each in secret_grants(config.secrets.values(), names)]
    needs += [("kms:Decrypt", key) for key in secret_keys if ":alias/" not in key]
    if config and config.network.subnets:
        needs += [
            (action, _listed(statement["Resource"])[0])
            for statement in network_statements(names)
            for action in statement["Action"]
        ]
    return tuple(needs)


def policy_name(names: Names) -> str:
    """The inline policy that holds what the endpoints of this region need."""
    return f"sageturner-{names.region}"


def is_part(policy: str) -> bool:
    """Whether an inline policy of that name holds what some region's endpoints need."""
    return policy == FORMER_NAME or policy.startswith("sageturner-")


def added(document: Document, part: Document) -> Document:
    """`document` with the statements of `part`; nothing else in it is taken away."""
    merged = {each.get("Sid", ""): each for each in statements(document) if each.get("Sid")}
    unnamed = [each for each in statements(document) if not each.get("Sid")]
    merged |= {each["Sid"]: each for each in statements(part)}
    return _document(*unnamed, *merged.values())


def removed(document: Document, names: Names) -> Document | None:
    """`document` without what this project alone needs; None where no other project is left."""
    left = [each for each in statements(document) if not each.get("Sid", "").endswith(_mark(names))]
    return _document(*left) if any(_bucket_of(each) for each in left) else None


def projects(document: Document, names: Names) -> tuple[Names, ...]:
    """Bucket and repository (and for the former policy the region) of each project in it."""
    found: dict[str | None, Names] = {}
    for each in statements(document):
        sid = re.fullmatch(r"(PullImages|ListArtefacts)(?P<mark>[0-9a-f]{8})?", each.get("Sid", ""))
        if not sid:
            continue
        project = found.get(sid["mark"], names)
        arn = _listed(each["Resource"])[0].split(":", 5)
        if arn[2] == "ecr":
            project = replace(project, region=arn[3], repository=arn[5].partition("/")[2])
        else:
            project = replace(project, bucket=arn[5])
        found[sid["mark"]] = project
    return tuple(found.values())


def former_project(document: Document, names: Names) -> Names | None:
    """Whose policy the former one is; None where it was written by somebody else."""
    sids = {str(each.get("Sid")) for each in statements(document)}
    if not _FORMER_SIDS <= sids <= _FORMER_SIDS | {"WriteMetrics"}:
        return None
    (project,) = projects(document, names)
    return project


def _bucket_of(statement: Document) -> bool:
    return str(statement.get("Sid", "")).startswith("ListArtefacts")


def _mark(names: Names) -> str:
    return _short(f"{names.bucket} {names.repository}")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _repository(names: Names) -> str:
    return names.arn("ecr", f"repository/{names.repository}")


def _document(*found: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(found)}


def _allow(sid: str, actions: list[str], resource: str | list[str]) -> Document:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}


def _listed(value: str | Iterable[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
