"""Evaluate IAM policy documents, as far as that is possible without calling AWS.

Source: IAM user guide, "Policy evaluation logic" and "IAM JSON policy elements".
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from typing import Any, Literal

from sageturner_magic.aws.names import Names

Document = dict[str, Any]
Permitted = Literal["yes", "no", "maybe"]

SERVICE = "sagemaker.amazonaws.com"
"""The principal that execution roles trust, in every partition."""


def statements(document: Document) -> list[Document]:
    """The statements of a policy; IAM and S3 also take a single one that is not in a list."""
    found = document.get("Statement", [])
    return [found] if isinstance(found, dict) else list(found)


def allows(documents: Iterable[Document], action: str, resource: str) -> Permitted:
    """Whether identity policies allow `action` on `resource`, as far as they alone can tell.

    `maybe` where that hangs on a condition. Implements IAM's evaluation of Action, NotAction,
    Resource, NotResource and Effect; boundaries and organisation policies are not looked at.
    """
    verdict: Permitted = "no"
    for statement in [s for document in documents for s in statements(document)]:
        if not (_acts(statement, action) and _covers(statement, resource)):
            continue
        conditional = bool(statement.get("Condition"))
        if statement.get("Effect") == "Deny":
            if not conditional:
                return "no"
            verdict = "maybe"
        elif not conditional and verdict == "no":
            verdict = "yes"
        elif verdict == "no":
            verdict = "maybe"
    return verdict


def trust_problem(trust: Document, names: Names) -> str:
    """Why SageMaker cannot assume a role with this trust policy; empty if it can.

    SageMaker sends the account and an ARN of this region that ends in `:*` (SageMaker developer
    guide, "Cross-service confused deputy prevention"). Other conditions are not judged.
    """
    ours = [
        s
        for s in statements(trust)
        if _matches(SERVICE, _principals(s)) and _acts(s, "sts:AssumeRole")
    ]
    verdicts = [(s.get("Effect"), _refused(s, names)) for s in ours]
    if ("Deny", "") in verdicts:
        return f"its trust policy denies {SERVICE}"
    allowing = [refused for effect, refused in verdicts if effect == "Allow"]
    if not allowing:
        return f"its trust policy does not name {SERVICE}"
    if "" in allowing or _UNJUDGED in allowing:
        return ""
    return f"its trust policy wants another {allowing[0]}"


_UNJUDGED = "another condition"


def _refused(statement: Document, names: Names) -> str:
    """The condition of a trust policy's statement that SageMaker does not meet; empty if none."""
    sent = {
        "aws:sourceaccount": ("aws:SourceAccount", names.account),
        "aws:sourcearn": ("aws:SourceArn", names.arn("sagemaker", "*")),
    }
    unjudged = ""
    for operator, keys in statement.get("Condition", {}).items():
        for key, wanted in keys.items():
            name, value = sent.get(key.lower(), ("", ""))
            if not name or not re.fullmatch(r"(String|Arn)(Equals|Like)(IfExists)?", operator):
                unjudged = _UNJUDGED
            elif not any(_like(value, pattern) for pattern in _list(wanted)):
                return f"{name} than {value}"
    return unjudged


def _like(value: str, pattern: str) -> bool:
    """ArnLike, as far as the account: what comes after it depends on the resource."""
    pairs = zip(value.split(":")[:5], pattern.split(":")[:5], strict=False)
    return all(_matches(part, [wanted]) for part, wanted in pairs)


def _list(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _principals(statement: Document) -> list[str]:
    principal = statement.get("Principal", {})
    return _list(principal.get("Service", [])) if isinstance(principal, dict) else _list(principal)


def _acts(statement: Document, action: str) -> bool:
    if "NotAction" in statement:
        return not _matches(action.lower(), [a.lower() for a in _list(statement["NotAction"])])
    return _matches(action.lower(), [a.lower() for a in _list(statement.get("Action", []))])


def _covers(statement: Document, resource: str) -> bool:
    if "NotResource" in statement:
        return not _matches(resource, _list(statement["NotResource"]))
    return _matches(resource, _list(statement.get("Resource", [])))


def _matches(value: str, patterns: list[str]) -> bool:
    # IAM knows `*` and `?`; a `[` is a plain character in it.
    return any(fnmatch.fnmatchcase(value, p.replace("[", "[[]")) for p in patterns)
