"""Forms of what is one of several: Literal, Enum and Union."""

from __future__ import annotations

import contextlib
import enum
from typing import Any

from .faults import At, Faults, Full, got, kind_of
from .form import ANY, Form

_SHOWN = 8
"""Choices that a message names at most."""


def literal(values: list[Any]) -> Form | None:
    """One of certain values: JSON's, or members of an Enum that stand for one.

    None where a value is of another kind.
    """
    named: dict[tuple[str, Any], Any] = {}
    for value in values:
        json_value = value.value if isinstance(value, enum.Enum) else value
        if kind_of(json_value) not in ("null", "boolean", "number", "string"):
            return None
        named[kind_of(json_value), json_value] = value
    choices = [value for _, value in named]
    shown = [got(each) for each in choices[:_SHOWN]]
    more = [f"{len(choices) - _SHOWN} more values"] if len(choices) > _SHOWN else []
    noun = _either(shown + more)

    def read(value: Any, at: At, faults: Faults) -> Any:
        try:
            return named[kind_of(value), value]
        except (KeyError, TypeError):
            faults.add(at, f"expected {noun}, got {got(value)}{nearest(value, choices)}")
            return None

    kinds = frozenset(kind for kind, _ in named)
    return Form(read, {"enum": choices}, noun, f"values from {noun}", kinds)


def nearest(value: Any, choices: list[Any]) -> str:
    """A question that proposes the most similar of `choices`, or nothing."""
    import difflib

    texts = [each for each in choices if isinstance(each, str)]
    near = difflib.get_close_matches(value, texts, 1) if isinstance(value, str) else []
    return f"; did you mean {got(near[0])}?" if near else ""


def union(options: list[Form]) -> Form:
    """One of several types: the one of which the value is as it came, or the first that fits."""
    if any(option is ANY for option in options):
        return ANY
    if len(options) == 1:
        return options[0]
    exact = frozenset[type]().union(*(option.exact for option in options))
    kinds = frozenset[str]().union(*(option.kinds for option in options))
    noun = _either([option.noun for option in options])

    def tried(value: Any, at: At, memory: Faults) -> tuple[Any, Faults]:
        # What the first option that fits gives; else the faults of the one that fits best.
        kind = kind_of(value)
        fitting = [each for each in options if kind in each.kinds or kind not in ANY.kinds]
        best: Faults | None = None
        for option in fitting:
            found = memory.apart()
            with contextlib.suppress(Full):
                result = option.read(value, at, found)
            if not found:
                return result, found
            if best is None or len(found) < len(best):
                best = found
        if best is None or (len(fitting) > 1 and kind not in ("array", "object")):
            best = memory.apart()
            best.add(at, f"expected {noun}, got {got(value)}")
        return None, best

    def read(value: Any, at: At, faults: Faults) -> Any:
        if type(value) in exact:
            return value
        key = (id(value), id(tried))
        if key in faults.tried:
            _, result, found = faults.tried[key]
        else:
            result, found = tried(value, at, faults)
            if isinstance(value, list | dict):  # Others may be one object in several places.
                faults.tried[key] = value, result, found
        faults.take(found)
        return result

    return Form(
        read,
        {"anyOf": [option.schema for option in options]},
        noun,
        "values",
        kinds,
        exact,
    )


def _either(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
