"""Find, store and grant the secrets of `secrets:`, in Secrets Manager and Systems Manager.

Reads no value but those of a JSON object that an entry is added to: the endpoint's server reads
them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sageturner_magic.aws.errors import refused, unless
from sageturner_magic.aws.names import Names
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.config import SecretReference
from sageturner_magic.errors import AwsError, Finding

_MISSING = r"^(ResourceNotFound|ParameterNotFound)"


@dataclass(frozen=True)
class SecretGrant:
    """What a role needs to read a secret: an action on an ARN."""

    action: str
    arn: str

    @property
    def parameter(self) -> bool:
        """Whether it is a parameter of Systems Manager."""
        return self.action.startswith("ssm:")


def secret_grants(references: Iterable[str], names: Names) -> tuple[SecretGrant, ...]:
    """What the role of endpoints with these `secrets:` needs. Pure.

    Secrets Manager adds six characters to a name, which only the ARN shows: `?` stands for them.
    """
    read = (SecretReference.parse(each) for each in references)
    return tuple(dict.fromkeys(SecretGrant(_action(each), _arn(each, names)) for each in read))


def _action(reference: SecretReference) -> str:
    if reference.service == "ssm":
        return "ssm:GetParameter"
    return "secretsmanager:GetSecretValue"


def _arn(reference: SecretReference, names: Names) -> str:
    if reference.name.startswith("arn:"):
        return reference.name
    if reference.service == "ssm":
        return names.arn("ssm", f"parameter/{reference.name.lstrip('/')}")
    return names.arn("secretsmanager", f"secret:{reference.name}-??????")


def secret_findings(session: AwsSession, secrets: Mapping[str, str]) -> tuple[Finding, ...]:
    """Which secrets do not exist, by a look that reads no value.

    Permissions: secretsmanager:DescribeSecret, ssm:DescribeParameters; where they are missing the
    answer is a note.
    """
    found = (_finding(session, name, text) for name, text in secrets.items())
    return tuple(each for each in found if each)


def _finding(session: AwsSession, name: str, text: str) -> Finding | None:
    reference = SecretReference.parse(text)
    where = f"secrets.{name}"
    there = session.in_region(reference.region or session.region)
    try:
        with there.call(f"look up the secret {name}", where):
            if _described(there, reference) is not None:
                return None
    except AwsError as error:
        if not refused(error):
            raise
        return Finding(
            f"It could not be checked whether the secret `{name}` exists",
            where=where,
            why=error.findings[0].why,
            severity="note",
        )
    kind = "parameter" if reference.service == "ssm" else "secret"
    return Finding(
        f"There is no {kind} `{reference.name}` in {there.region}",
        where=where,
        why=f"the endpoint reads `{name}` from it when it starts",
        do=f"run `sageturner secret put {text} --region {there.region}`, or correct the name",
        code="ST27",
    )


def secret_keys(session: AwsSession, references: Iterable[str]) -> tuple[str, ...]:
    """ARNs of the KMS keys of one's own that encrypt secrets; those of AWS need no permission.

    A secret that is not there, or that the caller may not look up, has none.

    Permissions: secretsmanager:DescribeSecret, ssm:DescribeParameters. Raises AwsError.
    """
    found: dict[str, None] = {}
    for text in references:
        reference = SecretReference.parse(text)
        there = session.in_region(reference.region or session.region)
        try:
            with there.call(f"look up the key of {reference.name}", f"secret {reference.name}"):
                described = _described(there, reference) or {}
        except AwsError as error:
            if not refused(error):
                raise
            continue
        key = str(described.get("KmsKeyId") or described.get("KeyId") or "")
        if key and not key.rpartition(":")[2].startswith("alias/aws/"):
            place = f"arn:{session.partition}:kms:{there.region}:{session.account}:"
            kind = "" if key.startswith(("alias/", "key/")) else "key/"
            found[key if key.startswith("arn:") else f"{place}{kind}{key}"] = None
    return tuple(found)


def _described(session: AwsSession, reference: SecretReference) -> Mapping[str, Any] | None:
    """What the service tells of a secret without its value; None where there is none."""
    if reference.service == "ssm":
        name = reference.name.rpartition(":parameter")[2] or reference.name
        chosen = {"Key": "Name", "Option": "Equals", "Values": [name]}
        answer = session.ssm.describe_parameters(ParameterFilters=[chosen])
        return next(iter(answer["Parameters"]), None)
    described = unless(
        _MISSING, lambda: session.secretsmanager.describe_secret(SecretId=reference.name)
    )
    return None if described is None or "DeletedDate" in described else described


def put_secret(session: AwsSession, text: str, value: str) -> str:
    """Store a value where `text`, a reference of `secrets:`, says; create what is not there.

    An entry of a JSON object leaves the others as they are.

    Permissions: secretsmanager:CreateSecret, secretsmanager:PutSecretValue,
    secretsmanager:GetSecretValue (for `#key`); ssm:PutParameter, ssm:GetParameter (for `#key`).

    Returns:
        What was done, in words.

    Raises:
        AwsError: A call failed; the secret is no JSON object and the reference has a `#key`.
    """
    reference = SecretReference.parse(text)
    there = session.in_region(reference.region or session.region)
    with there.call(f"store the secret {reference.name}", f"secret {reference.name}"):
        if reference.key:
            value = _with_entry(_present(there, reference), reference, value)
        if reference.service == "ssm":
            there.ssm.put_parameter(
                Name=reference.name, Value=value, Type="SecureString", Overwrite=True
            )
            return f"stored parameter {reference.name} in {there.region}"
        changed = unless(
            _MISSING,
            lambda: there.secretsmanager.put_secret_value(
                SecretId=reference.name, SecretString=value
            ),
        )
        if changed is None:
            there.secretsmanager.create_secret(Name=reference.name, SecretString=value)
        deed = "created" if changed is None else "changed"
        return f"{deed} secret {reference.name} in {there.region}"


def _present(session: AwsSession, reference: SecretReference) -> str | None:
    if reference.service == "ssm":
        parameter = unless(
            _MISSING,
            lambda: session.ssm.get_parameter(Name=reference.name, WithDecryption=True),
        )
        return str(parameter["Parameter"]["Value"]) if parameter else None
    found = unless(
        _MISSING, lambda: session.secretsmanager.get_secret_value(SecretId=reference.name)
    )
    return str(found["SecretString"]) if found else None


def _with_entry(present: str | None, reference: SecretReference, value: str) -> str:
    try:
        object_ = json.loads(present) if present is not None else {}
    except ValueError:
        object_ = None
    if not isinstance(object_, dict):
        raise AwsError(
            f"The secret `{reference.name}` is not a JSON object",
            why=f"`#{reference.key}` names an entry of one",
            do=f"remove `#{reference.key}` under `secrets:`, or name another secret",
        )
    return json.dumps({**object_, reference.key: value})
