"""The constraints of Annotated: those of annotated_types, and whatever has the same attributes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from .containers import check_count
from .faults import At, Faults, got
from .form import ANY, Form

_Check = Callable[[Any, At, Faults], None]

_COMPARE: dict[str, tuple[str, str, Callable[[Any, Any], bool]]] = {
    "gt": ("exclusiveMinimum", "above", lambda value, bound: value > bound),
    "ge": ("minimum", "of at least", lambda value, bound: value >= bound),
    "lt": ("exclusiveMaximum", "below", lambda value, bound: value < bound),
    "le": ("maximum", "of at most", lambda value, bound: value <= bound),
    "multiple_of": (
        "multipleOf",
        "that is a multiple of",
        lambda value, bound: _fits(value, bound),
    ),
}
"""Attribute -> keyword of JSON schema, words, test."""

_SIZES = {"string": "Length", "array": "Items", "object": "Properties"}


def limited(form: Form, metadata: Iterable[Any]) -> Form:
    """`form` with the constraints in an Annotated's metadata; others say nothing to us.

    As in JSON schema a limit of numbers concerns only numbers, so that None of an optional one is
    within all limits.
    """
    if form is ANY:
        return ANY
    checks: list[_Check] = []
    schemas: list[dict[str, Any]] = []
    sizes: dict[str, int] = {}
    for item in _each(metadata):
        for name in _COMPARE:
            bound = getattr(item, name, None)
            if bound is not None and not isinstance(bound, bool):
                checks.append(_comparison(form, name, bound))
                if isinstance(bound, int | float):
                    schemas.append({_COMPARE[name][0]: bound})
        for name, word in (("min_length", "min"), ("max_length", "max")):
            if isinstance(count := getattr(item, name, None), int):
                sizes[word] = count
        pattern = getattr(item, "pattern", None)
        if isinstance(pattern, str | re.Pattern):
            text = pattern if isinstance(pattern, str) else pattern.pattern
            checks.append(_match(text))
            schemas.append({"pattern": text})
        if callable(test := getattr(item, "func", None)):
            checks.append(_predicate(test))
        schemas.extend(_notes(item))
    if sizes:
        kinds = form.kinds if "contentEncoding" not in form.schema else frozenset[str]()
        least, most = sizes.get("min"), sizes.get("max")
        checks.append(_size(form, least, most))
        schemas.extend(
            {f"{word}{_SIZES[kind]}": count}
            for word, count in sizes.items()
            for kind in sorted(kinds & _SIZES.keys())
        )
    if not checks and not schemas:
        return form
    return dataclasses.replace(
        form,
        read=_checked(form.read, checks) if checks else form.read,
        schema=_joined(form.schema, schemas),
        exact=frozenset() if checks else form.exact,
        noun=_counted(form, sizes),
    )


def _each(metadata: Iterable[Any]) -> Iterator[Any]:
    # Groups (annotated_types' Interval and Len, pydantic's Field) hold others.
    for item in metadata:
        if hasattr(type(item), "__is_annotated_types_grouped_metadata__"):
            yield from _each(item)
            continue
        if isinstance(inner := getattr(item, "metadata", None), list | tuple):
            yield from _each(inner)
        if not isinstance(item, str):
            yield item


def _notes(item: Any) -> Iterator[dict[str, Any]]:
    for name, kind in (("description", str), ("title", str), ("examples", list)):
        text = getattr(item, name, None)
        if isinstance(text, kind):
            yield {name: text}


def _checked(read: Callable[[Any, At, Faults], Any], checks: list[_Check]) -> Any:
    def checked(value: Any, at: At, faults: Faults) -> Any:
        before = len(faults)
        value = read(value, at, faults)
        if len(faults) == before:
            for check in checks:
                check(value, at, faults)
        return value

    return checked


def _joined(schema: dict[str, Any], more: list[dict[str, Any]]) -> dict[str, Any]:
    for each in more:
        # A keyword that is there already, as with two limits on one side, holds beside the new.
        clash = each.keys() & schema.keys() - {"description", "title", "examples"}
        schema = {"allOf": [schema, each]} if clash else {**schema, **each}
    return schema


def _comparison(form: Form, name: str, bound: Any) -> _Check:
    _, words, test = _COMPARE[name]

    def check(value: Any, at: At, faults: Faults) -> None:
        number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        if (number or isinstance(value, type(bound))) and not test(value, bound):
            noun = "a number" if number else form.noun
            faults.add(at, f"expected {noun} {words} {bound}, got {got(value)}")

    return check


def _fits(value: Any, bound: Any) -> bool:
    # As JSON schema's judges reckon.
    if not isinstance(bound, float):
        return not value % bound
    try:
        return (float(value) / bound).is_integer()
    except OverflowError:
        return False


def _match(pattern: str) -> _Check:
    search = re.compile(pattern).search

    def check(value: Any, at: At, faults: Faults) -> None:
        if isinstance(value, str) and search(value) is None:
            faults.add(at, f"expected a string that matches {pattern}, got {got(value)}")

    return check


def _predicate(test: Callable[[Any], Any]) -> _Check:
    name = getattr(test, "__name__", "")
    said = f"{name} does not hold" if name.isidentifier() else "the type's own check does not hold"

    def check(value: Any, at: At, faults: Faults) -> None:
        if not test(value):
            faults.add(at, f"{said}, got {got(value)}")

    return check


def _size(form: Form, least: int | None, most: int | None) -> _Check:
    def check(value: Any, at: At, faults: Faults) -> None:
        if isinstance(value, str | bytes | dict):
            count = len(value)
            if (least is not None and count < least) or (most is not None and count > most):
                faults.add(at, f"expected {_range(least, most)} {form.parts}, got {count}")
        elif hasattr(value, "__len__"):
            check_count(value, at, faults, (least, most), form.parts)

    return check


def _range(least: int | None, most: int | None) -> str:
    if least == most:
        return str(least)
    if least is None or most is None:
        return f"at most {most}" if least is None else f"at least {least}"
    return f"{least} to {most}"


def _counted(form: Form, sizes: dict[str, int]) -> str:
    least, most = sizes.get("min"), sizes.get("max")
    if form.kinds == {"array"} and sizes and form.parts != "values":
        return f"a list of {_range(least, most)} {form.parts}"
    return form.noun
