"""Make the JSON schema of a configuration, for editors.

An editor gives plain scalars YAML's own types, while the reader takes every scalar as the text
that was written: `python_version: 3.12` and `environment: {PORT: 8080}` are right. So wherever the
reader wants text the schema takes numbers and booleans too, and wherever a key may be left out it
may also stand without a value.
"""

from __future__ import annotations

from typing import Any

from sageturner_magic.config.configuration import Config

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> Schema:
    """The JSON schema of a configuration (draft 2020-12), with descriptions and defaults."""
    schema = _as_written(Config.model_json_schema())
    # The reader takes both spellings; editors strike this one through and offer the other.
    american = {"$ref": "#/properties/artefact", "deprecated": True}
    schema["properties"]["artifact"] = american
    return {"$schema": DIALECT, **schema, "title": "sageturner.yaml"}


def _as_written(schema: Schema) -> Schema:
    """`schema` and all within it, for values as an editor's YAML parser types them."""
    made = dict(schema)
    if made.get("type") == "string":
        # `pattern` and the lengths bind texts only.
        made["type"] = ["string", "number", "boolean"]
        if "enum" in made:
            made["enum"] = [*made["enum"], *_plain_scalars(made["enum"])]
        elif "const" in made:
            made["enum"] = [made.pop("const")]
    for key in ("$defs", "properties"):
        if key in made:
            made[key] = {name: _as_written(inner) for name, inner in made[key].items()}
    if "properties" in made:
        made["properties"] = {
            name: inner if name in made.get("required", ()) else _or_nothing(inner)
            for name, inner in made["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(made.get(key), dict):
            made[key] = _as_written(made[key])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in made:
            made[key] = [_as_written(one) for one in made[key]]
    return made


def _plain_scalars(texts: list[str]) -> list[float | None]:
    """What YAML makes of those `texts` that it does not take as text."""
    return [None if text == "null" else float(text) for text in texts if _is_plain_scalar(text)]


def _is_plain_scalar(text: str) -> bool:
    return text == "null" or text.replace(".", "", 1).isdigit()


def _or_nothing(schema: Schema) -> Schema:
    """`schema` or null; what explains the key stays beside the choice."""
    said = {key: schema[key] for key in _SAID if key in schema}
    rest = {key: value for key, value in schema.items() if key not in _SAID}
    if "anyOf" in rest:
        others = [one for one in rest["anyOf"] if one != _NULL]
        return {**said, "anyOf": [*others, _NULL]}
    return {**said, "anyOf": [rest, _NULL]}


_SAID = ("title", "description", "default", "examples")
_NULL: Schema = {"type": "null"}
