"""Make policies of the permissions in `policies`, of a size that IAM takes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

from sageturner_magic.aws.account.evaluation import Document
from sageturner_magic.aws.account.policies import (
    GRANTS,
    PERMISSION_SETS,
    Grant,
    PermissionSet,
)
from sageturner_magic.aws.account.resources import Scope
from sageturner_magic.aws.account.role_documents import key_statement

MOST_CHARACTERS = 6144
"""Of a managed policy; white space does not count (IAM user guide, "IAM and STS quotas")."""

_STORES = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")
"""What Secrets Manager and (kms:Encrypt) Parameter Store ask of KMS in the caller's name."""

_SETTING_UP: tuple[PermissionSet, ...] = ("setup", "teardown")


def caller_policies(
    scope: Scope, sets: Collection[PermissionSet] | None = None
) -> dict[str, Document]:
    """Return policies that each fit into a managed policy. Pure: calls nothing.

    Args:
        scope: What they are for.
        sets: What they allow. Left out: everything, with `setup`, which may create roles, apart
            from `deploy`, which may pass one.

    Returns:
        Policy documents by name; a name is numbered where one document cannot hold it all.
    """
    unasked = {"secret": not scope.secrets, "lease": not scope.leases}
    unused = (*_SETTING_UP, *(name for name, unused in unasked.items() if unused))
    using = [each for each in PERMISSION_SETS if each not in unused]
    groups = {"setup": _SETTING_UP, "deploy": using} if sets is None else {"policy": sets}
    return {
        name: document
        for group, of in groups.items()
        for name, document in _fitting(group, scope, of)
    }


def _fitting(name: str, scope: Scope, sets: Iterable[PermissionSet]) -> list[tuple[str, Document]]:
    """Divide the policy for `sets` into as many documents as IAM's size asks for."""
    documents: list[Document] = []
    for statement in caller_policy(scope, sets)["Statement"]:
        for document in documents:
            longer = {**document, "Statement": [*document["Statement"], statement]}
            if characters(longer) <= MOST_CHARACTERS:
                document.update(longer)
                break
        else:
            documents.append({"Version": "2012-10-17", "Statement": [statement]})
    return [
        (f"{name}-{number}" if len(documents) > 1 else name, document)
        for number, document in enumerate(documents, 1)
    ]


def characters(document: Document) -> int:
    """Return the size of a policy as IAM counts it, without white space."""
    return len("".join(json.dumps(document).split()))


def caller_policy(scope: Scope, sets: Iterable[PermissionSet] = PERMISSION_SETS) -> Document:
    """Return the minimal policy for some permission sets, whatever its size. Pure."""
    wanted = frozenset(sets)
    keys = (
        # A rollback updates the endpoint, too.
        ("UseKey", {"deploy", "rollback"}, ["kms:CreateGrant", "kms:DescribeKey"], scope.kms_key),
        ("EncryptArtefacts", {"deploy"}, ["kms:Decrypt", "kms:GenerateDataKey"], scope.bucket_key),
        *(
            (f"EncryptSecrets{number or ''}", {"secret"}, list(_STORES), key)
            for number, key in enumerate(scope.secret_keys)
        ),
    )
    return {
        "Version": "2012-10-17",
        "Statement": [
            *(
                _statement(grants, scope)
                for grants in _by_resource(wanted)
                if grants[0].resources(scope)
            ),
            *(
                key_statement(sid, actions, key, scope.names)
                for sid, of, actions, key in keys
                if key and of & wanted
            ),
        ],
    }


def _by_resource(wanted: frozenset[PermissionSet]) -> list[list[Grant]]:
    """The grants that apply, those on the same resources together: ARNs take most of the room."""
    found: dict[object, list[Grant]] = {}
    for grant in GRANTS:
        if grant.sets & wanted:
            place = (grant.resources, json.dumps(grant.condition))
            found.setdefault(place, []).append(grant)
    return list(found.values())


def _statement(grants: list[Grant], scope: Scope) -> Document:
    first, resources = grants[0], grants[0].resources(scope)
    place = first.resources.__name__.title().replace("_", "")
    statement: Document = {
        "Sid": first.sid if len(grants) == 1 else place,
        "Effect": "Allow",
        "Action": sorted({action for grant in grants for action in grant.actions}),
        "Resource": resources[0] if len(resources) == 1 else resources,
    }
    return {**statement, "Condition": first.condition} if first.condition else statement
