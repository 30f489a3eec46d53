"""Forms of lists, tuples, sets and dicts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .faults import At, Faults, got
from .form import ANY, Form


def several(item: Form, make: Callable[[list[Any]], Any]) -> Form:
    """A list of any length, made into what the annotation names."""
    noun = "a list" if item is ANY else f"a list of {item.plural}"

    def read(value: Any, at: At, faults: Faults) -> Any:
        values = _listed(value)
        if values is None:
            faults.add(at, f"expected {noun}, got {got(value)}")
            return None
        if not item.exact.issuperset(map(type, values)) and item is not ANY:
            values = [item.read(each, (at, index), faults) for index, each in enumerate(values)]
        return values if make is list else make(values)

    schema = {"type": "array", **({"items": item.schema} if item.schema else {})}
    return Form(read, schema, noun, "lists", frozenset({"array"}), parts=item.plural)


def unique(item: Form, make: Callable[[list[Any]], Any]) -> Form:
    """A list without equal values, made into a set."""
    whole = several(item, list)

    def read(value: Any, at: At, faults: Faults) -> Any:
        before = len(faults)
        values = whole.read(value, at, faults)
        if len(faults) > before:
            return None
        made = make(values)
        if len(made) < len(values):
            faults.add(at, f"expected {whole.noun} without equal ones")
        return made

    return replace(whole, read=read, schema={**whole.schema, "uniqueItems": True})


def fixed(items: list[Form], make: Callable[[list[Any]], Any]) -> Form:
    """A list of a certain length, each value of a type of its own."""
    count = len(items)
    noun = f"a list of {count} value{'s' * (count != 1)}"

    def read(value: Any, at: At, faults: Faults) -> Any:
        values = _listed(value)
        if values is None:
            faults.add(at, f"expected {noun}, got {got(value)}")
            return None
        before = len(faults)
        read = [
            item.read(each, (at, index), faults)
            for index, (item, each) in enumerate(zip(items, values, strict=False))
        ]
        check_count(values, at, faults, (count, count), "values")
        return read if len(faults) > before else make(read)

    schema: dict[str, Any] = {"type": "array", "minItems": count, "maxItems": count}
    if items:
        schema["prefixItems"] = [item.schema for item in items]
    return Form(read, schema, noun, "lists", frozenset({"array"}))


def check_count(
    values: Any, at: At, faults: Faults, limits: tuple[int | None, int | None], parts: str
) -> None:
    """Add a fault where a list has too few or too many values; a limit may be None."""
    least, most = limits
    count = len(values)
    said = f"{least} {parts} are expected"
    if least is not None and count < least:
        said = said if least == most else f"at least {said}"
        faults.add((at, count), f"missing: {said}")
    elif most is not None and count > most:
        said = said if least == most else f"at most {most} {parts} are expected"
        faults.add((at, most), f"too many: {said}, got {count}")


def mapping(key: Form, item: Form) -> Form:
    """An object with any keys."""
    noun = "an object" if item is ANY else f"an object of {item.plural}"
    whole = key.kinds == {"number"}

    def read(value: Any, at: At, faults: Faults) -> Any:
        if not isinstance(value, dict):
            faults.add(at, f"expected {noun}, got {got(value)}")
            return None
        if whole:
            return {
                _number(name, (at, name), faults): item.read(each, (at, name), faults)
                for name, each in value.items()
            }
        return {
            key.read(name, (at, name), faults): item.read(each, (at, name), faults)
            for name, each in value.items()
        }

    schema: dict[str, Any] = {"type": "object"}
    if item.schema:
        schema["additionalProperties"] = item.schema
    if whole:
        schema["propertyNames"] = {"pattern": _WHOLE.pattern}
    elif key.schema not in ({}, {"type": "string"}):
        schema["propertyNames"] = key.schema
    return Form(read, schema, noun, "objects", frozenset({"object"}), parts="keys")


_WHOLE = re.compile(r"^-?[0-9]{1,18}$")
"""JSON's keys are text, those of dict[int, ...] included."""


def _number(name: Any, at: At, faults: Faults) -> Any:
    if isinstance(name, str) and _WHOLE.search(name):
        return int(name)
    faults.add(at, "the key is not a whole number")
    return None


def _listed(value: Any) -> list[Any] | None:
    # An array of NumPy's, which application/x-npy brings, is a list too.
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        value = value.tolist()
    return value if isinstance(value, list) else None
