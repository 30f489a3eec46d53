"""What `--json` prints, checked by the schema that the site documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from sageturner_magic.rendering import ERROR, SCHEMAS


def strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without room for fields that it does not document."""
    closed = {key: _strict(value) for key, value in schema.items()}
    if "properties" in schema:
        closed.setdefault("additionalProperties", False)
    return closed


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return strict(value)
    return [*map(_strict, value)] if isinstance(value, list) else value


def result_of(verb: str, out: str) -> Any:
    """What a verb printed, which its schema describes completely."""
    return _checked(SCHEMAS[verb], out)


def failure_of(out: str) -> Any:
    """What a failed command printed: one object in one line."""
    assert out.count("\n") == 1, out
    return _checked(ERROR, out)


def _checked(schema: Mapping[str, Any], out: str) -> Any:
    data = json.loads(out)
    problems = [*Draft202012Validator(strict(schema)).iter_errors(data)]
    assert not problems, problems[0]
    return data
