"""IAM's decision: policies, an action, a resource and the request's context -> allowed or not.

Follows https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
for what a deployment meets: identity policies, bucket policies and role trust.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import translate
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Literal, Protocol

Decision = Literal["allow", "deny", "none"]
Context = Mapping[str, str | list[str]]
"""Condition keys -> value, or values for keys that hold several (`aws:TagKeys`)."""

Statement = Mapping[str, Any]


def statements(document: str | Mapping[str, Any]) -> list[Statement]:
    """The statements of a policy document, given as JSON or decoded."""
    decoded = json.loads(document) if isinstance(document, str) else document
    found = decoded.get("Statement", [])
    return found if isinstance(found, list) else [found]


def decide(policy: Iterable[Statement], action: str, resource: str, context: Context) -> Decision:
    """What `policy` says: an explicit deny wins over any allow."""
    decision: Decision = "none"
    for statement in policy:
        if not (
            _covers_action(statement, action)
            and _covers_resource(statement, resource)
            and _holds(statement.get("Condition", {}), context)
        ):
            continue
        if statement["Effect"] == "Deny":
            return "deny"
        decision = "allow"
    return decision


class Asked(Protocol):
    """Something that was needed: see tests.stand.actions.Need."""

    @property
    def action(self) -> str: ...
    @property
    def resource(self) -> str: ...
    @property
    def context(self) -> Context: ...


def spare(document: Mapping[str, Any], asked: Iterable[Asked]) -> list[str]:
    """The actions of a policy (`Sid: action`) without which all that was asked is still allowed.

    Raises AssertionError where the policy does not even allow all of it.
    """
    policy, needed = statements(document), list(asked)

    def refused(shortened: list[Statement]) -> Iterator[Asked]:
        for need in needed:
            if decide(shortened, need.action, need.resource, need.context) != "allow":
                yield need

    assert not (missing := [*refused(policy)]), f"the policy does not allow {missing}"
    found = []
    for place, statement in enumerate(policy):
        actions = _listed(statement["Action"])
        for action in actions:
            rest = {**statement, "Action": [item for item in actions if item != action]}
            if not any(refused([*policy[:place], rest, *policy[place + 1 :]])):
                found.append(f"{statement.get('Sid', place)}: {action}")
    return found


def names_principal(statement: Statement, *principals: str) -> bool:
    """Whether a resource policy's statement is about one of `principals` (ARNs, services, ids)."""
    principal = statement.get("Principal", {})
    if principal == "*":
        return True
    named = [value for values in principal.values() for value in _listed(values)]
    return "*" in named or any(name in named for name in principals)


def _covers_action(statement: Statement, action: str) -> bool:
    if "NotAction" in statement:
        return not _matches_any(statement["NotAction"], action, ignore_case=True)
    return _matches_any(statement.get("Action", []), action, ignore_case=True)


def _covers_resource(statement: Statement, resource: str) -> bool:
    if "NotResource" in statement:
        return not _matches_any(statement["NotResource"], resource)
    # A trust policy has no Resource: it is about the role that it belongs to.
    return _matches_any(statement.get("Resource", "*"), resource)


def _matches_any(patterns: str | list[str], value: str, ignore_case: bool = False) -> bool:
    if ignore_case:
        return any(_pattern(item.lower()).match(value.lower()) for item in _listed(patterns))
    return any(_pattern(item).match(value) for item in _listed(patterns))


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob.replace("[", "[[]")))


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    lowered = {key.lower(): value for key, value in context.items()}
    return all(
        _holds_one(operator, lowered.get(key.lower()), [str(v) for v in _listed(expected)])
        for operator, keys in conditions.items()
        for key, expected in keys.items()
    )


def _holds_one(operator: str, actual: str | list[str] | None, expected: list[str]) -> bool:
    quantifier, _, name = operator.rpartition(":")
    optional = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    if name == "Null":
        return (actual is None) == (expected[0].lower() == "true")
    negated = "Not" in name
    test = _TESTS[name.replace("Not", "")]
    values = [] if actual is None else _listed(actual)
    if not values:
        # Keys that are missing satisfy negated operators, IfExists and ForAllValues.
        return optional or negated or quantifier == "ForAllValues"
    results = [any(test(value, item) for item in expected) != negated for value in values]
    return all(results) if quantifier == "ForAllValues" else any(results)


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda actual, expected: compare(float(actual), float(expected))


def _like(actual: str, expected: str) -> bool:
    return _pattern(expected).match(actual) is not None


def _arn_like(actual: str, expected: str) -> bool:
    """The six parts of an ARN are compared one by one; a wildcard does not reach beyond its part.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    parts, patterns = actual.split(":", 5), expected.split(":", 5)
    same = len(parts) == len(patterns) == 6
    return same and all(map(_like, parts, patterns))


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda actual, expected: actual == expected,
    "StringEqualsIgnoreCase": lambda actual, expected: actual.lower() == expected.lower(),
    "StringLike": _like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda actual, expected: actual.lower() == expected.lower(),
    "NumericEquals": _number(lambda a, b: a == b),
    "NumericLessThan": _number(lambda a, b: a < b),
    "NumericLessThanEquals": _number(lambda a, b: a <= b),
    "NumericGreaterThan": _number(lambda a, b: a > b),
    "NumericGreaterThanEquals": _number(lambda a, b: a >= b),
    "IpAddress": lambda actual, expected: ip_address(actual) in ip_network(expected, strict=False),
}
