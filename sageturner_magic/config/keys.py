"""Tell what the schema says about a key, for messages, examples, docs and completion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from sageturner_magic.config.configuration import Config

Schema = dict[str, Any]


def schema_keys(path: Sequence[str] = ()) -> Mapping[str, str]:
    """Key -> description of what can stand in the section at `path`; empty for any other path."""
    found = schema_at(path)
    return {
        key: str(_resolved(field).get("description", ""))
        for key, field in (found or {}).get("properties", {}).items()
    }


def all_keys(path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every key of the schema, sections before what they hold."""
    for key in schema_keys(path):
        yield (*path, key)
        yield from all_keys((*path, key))


def schema_at(path: Sequence[str | int]) -> Schema | None:
    """The JSON schema of the key at `path`, with its references followed; None if unknown."""
    schema: Schema | None = _resolved(_whole())
    for part in path:
        schema = _inside(schema or {}, part)
    return schema


def is_required(path: Sequence[str]) -> bool:
    """Whether the key has to be written where its section is."""
    return path[-1] in (schema_at(path[:-1]) or {}).get("required", ())


def options(schema: Schema) -> list[str]:
    """The values that can be chosen from; empty where there is no such choice."""
    values = [value for one in alternatives(schema) for value in one.get("enum", ())]
    values += [one["const"] for one in alternatives(schema) if "const" in one]
    return [str(value) for value in values]


def expectation(schema: Schema) -> str:
    """What a value has to be, in words: `a whole number from 60 to 3600`."""
    if values := options(schema):
        words = [*values, *(_form(one) for one in alternatives(schema) if _is_open(one))]
        return f"one of {', '.join(words)}" if len(words) > 2 else " or ".join(words)
    return " or ".join(_form(one) for one in alternatives(schema))


def alternatives(schema: Schema) -> list[Schema]:
    """The schemas of which a value has to fit one; null, which means the default, left out."""
    either = schema.get("anyOf") or schema.get("oneOf")
    if not either:
        return [] if schema.get("type") == "null" else [schema]
    return [inner for one in either for inner in alternatives(_resolved(one))]


@cache
def _whole() -> Schema:
    return Config.model_json_schema()


def _resolved(schema: Schema) -> Schema:
    if len(schema.get("allOf", ())) == 1:
        # How pydantic before 2.9 writes a reference that has a description beside it.
        schema = {**schema, **schema["allOf"][0]}
    if reference := schema.get("$ref"):
        target: Schema = _whole()["$defs"][reference.rpartition("/")[2]]
        return {
            **target,
            **{key: value for key, value in schema.items() if key not in ("$ref", "allOf")},
        }
    either = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(either) == 1:
        # An optional value: its own description stands beside the alternatives.
        kept = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**_resolved(either[0]), **kept}
    return schema


def _inside(schema: Schema, part: str | int) -> Schema | None:
    for one in alternatives(schema):
        if isinstance(part, int) and "items" in one:
            return _resolved(one["items"])
        if isinstance(part, str) and part in one.get("properties", {}):
            return _resolved(one["properties"][part])
        if isinstance(part, str) and isinstance(one.get("additionalProperties"), dict):
            return _resolved(one["additionalProperties"])
    return None


def _is_open(schema: Schema) -> bool:
    return "enum" not in schema and "const" not in schema


def _form(schema: Schema) -> str:
    kind = schema.get("type")
    if kind == "integer":
        least, most = schema.get("minimum"), schema.get("maximum")
        if least is not None and most is not None:
            return f"a whole number from {least} to {most}"
        return "a whole number" if least is None else f"a whole number, {least} or more"
    if kind == "array":
        most = schema.get("maxItems")
        return "a list" if most is None else f"a list of at most {most} entries"
    if kind == "object":
        if "properties" in schema:
            return f"a section with the keys {', '.join(schema['properties'])}"
        most = schema.get("maxProperties")
        limit = "" if most is None else f", at most {most} of them"
        return f"`key: value` pairs{limit}"
    return {"boolean": "true or false"}.get(str(kind), "text")
