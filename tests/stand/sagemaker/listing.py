"""Filters, order and pages of SageMaker's List operations."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.stand.sagemaker.validation import invalid

PAGE = 10
"""What List operations give unless told (API reference, MaxResults of ListEndpoints)."""


def select(
    items: Sequence[Any], params: Mapping[str, Any], default_order: str
) -> tuple[list[Any], str | None]:
    """The page of `items` that `params` ask for, and the token of the next one.

    Raises AwsFault for a token that was not given out for the same question.
    """
    found = [item for item in items if _matches(item, params)]
    key = {"Name": "name", "CreationTime": "created", "Status": "status"}
    attribute = key.get(params.get("SortBy", "CreationTime"), "created")
    order = params.get("SortOrder") or default_order
    found.sort(key=lambda item: getattr(item, attribute), reverse=order == "Descending")
    start = _start(params)
    end = start + int(params.get("MaxResults", PAGE))
    return found[start:end], _token(end, params) if end < len(found) else None


def _matches(item: Any, params: Mapping[str, Any]) -> bool:
    modified = getattr(item, "modified", item.created)
    tests = (
        ("NameContains", lambda value: value.lower() in item.name.lower()),
        ("StatusEquals", lambda value: value == item.status),
        ("CreationTimeAfter", lambda value: item.created > _seconds(value)),
        ("CreationTimeBefore", lambda value: item.created < _seconds(value)),
        ("LastModifiedTimeAfter", lambda value: modified > _seconds(value)),
        ("LastModifiedTimeBefore", lambda value: modified < _seconds(value)),
    )
    return all(test(params[name]) for name, test in tests if params.get(name) is not None)


def _seconds(value: float | str) -> float:
    if isinstance(value, str):
        return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
    return value


def _question(params: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in params.items() if key not in ("NextToken", "MaxResults")}


def _token(start: int, params: Mapping[str, Any]) -> str:
    return base64.b64encode(json.dumps([start, _question(params)]).encode()).decode()


def _start(params: Mapping[str, Any]) -> int:
    if "NextToken" not in params:
        return 0
    try:
        start, question = json.loads(base64.b64decode(params["NextToken"]))
    except ValueError:
        raise invalid("Invalid NextToken.") from None
    if question != _question(params):
        raise invalid("The NextToken does not belong to this request.")
    return int(start)
