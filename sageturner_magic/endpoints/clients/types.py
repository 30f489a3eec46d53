"""Write the types of JSON schemas as Python: a TypedDict for each object with named fields."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from typing import Any

_SINGLE = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
}


class Types:
    """The classes that annotations of a module need.

    Args:
        schemas: What references name (`components.schemas` of an OpenAPI document).
        taken: Names that the module has for something else.

    Attributes:
        classes: The text of each class, in an order that reads well.
    """

    def __init__(self, schemas: Mapping[str, Any], taken: frozenset[str]) -> None:
        self._schemas = schemas
        self._taken = set(taken)
        self._known: dict[str, str] = {}
        self.classes: list[str] = []

    def annotation(self, schema: Mapping[str, Any], name: str) -> str:
        """The annotation of what a schema takes; `name` is for a class that has no title."""
        if reference := schema.get("$ref"):
            return self._referred(reference.rpartition("/")[2])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return _either([self.annotation(each, name) for each in schema[key]])
        if "allOf" in schema:
            return self.annotation(schema["allOf"][0], name)
        if "const" in schema or "enum" in schema:
            return _choices(schema.get("enum", [schema.get("const")]))
        kind = schema.get("type")
        if isinstance(kind, list):
            return _either([self.annotation({**schema, "type": each}, name) for each in kind])
        if kind == "array":
            items = [*schema.get("prefixItems", ()), schema.get("items", {})]
            items = items[:-1] if len(items) > 1 and not items[-1] else items
            return f"list[{_either([self.annotation(each, name) for each in items])}]"
        if kind == "object" and schema.get("properties"):
            return self._class(schema, name)
        if kind == "object":
            extra = schema.get("additionalProperties")
            item = self.annotation(extra, name) if isinstance(extra, dict) else "Any"
            return f"dict[str, {item}]"
        return _SINGLE.get(kind or "", "Any")

    def _referred(self, key: str) -> str:
        if key in self._known:
            return self._known[key]
        schema = self._schemas.get(key, {})
        if schema.get("type") == "object" and schema.get("properties"):
            return self._class(schema, key, key)
        self._known[key] = "Any"  # Of an alias that contains itself, only the outermost is told.
        self._known[key] = self.annotation(schema, key)
        return self._known[key]

    def _class(self, schema: Mapping[str, Any], name: str, key: str = "") -> str:
        found = name = self._free(schema.get("title", name))
        if key:
            self._known[key] = found
        place = len(self.classes)
        required = schema.get("required", ())
        fields = {
            field: kind if field in required else f"NotRequired[{kind}]"
            for field, part in schema["properties"].items()
            for kind in [self.annotation(part, f"{name}{field.title()}")]
        }
        if all(field.isidentifier() and not keyword.iskeyword(field) for field in fields):
            lines = [f"    {field}: {kind}" for field, kind in fields.items()]
            text = "\n".join([f"class {name}(TypedDict):", *lines])
        else:
            lines = [
                f"        {_quoted(field)}: {_quoted(kind)}," for field, kind in fields.items()
            ]
            text = "\n".join([f"{name} = TypedDict(", f"    {_quoted(name)},", "    {", *lines])
            text += "\n    },\n)"
        self.classes.insert(place, text)
        return found

    def _free(self, title: str) -> str:
        name = re.sub(r"\W", "_", title)
        name = name if name.isidentifier() and not keyword.iskeyword(name) else f"T_{name}"
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name


def _quoted(text: str) -> str:
    return json.dumps(text)


def _either(kinds: list[str]) -> str:
    if "Any" in kinds:
        return "Any"
    return " | ".join(dict.fromkeys(kinds)) or "Any"


def _choices(values: list[Any]) -> str:
    # A Literal has no floats.
    exact = [repr(each) for each in values if not isinstance(each, float | list | dict)]
    kinds = [f"Literal[{', '.join(exact)}]"] if exact else []
    if any(isinstance(each, float) for each in values):
        kinds.append("float")
    return "Any" if any(isinstance(each, list | dict) for each in values) else _either(kinds)
