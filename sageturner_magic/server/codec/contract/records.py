"""Forms of classes with named fields: dataclasses, TypedDict and NamedTuple."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import choices, containers
from .faults import At, Faults, got
from .form import Form


@dataclass(frozen=True)
class Field:
    """A named part of a record.

    Attributes:
        form: Its type.
        required: Whether a request has to have it.
        default: What it is without; of interest to callers where JSON can write it.
    """

    form: Form
    required: bool
    default: Any = None


def is_typed_dict(kind: type) -> bool:
    """Whether a class was made by TypedDict, typing's or typing_extensions'."""
    return issubclass(kind, dict) and hasattr(kind, "__total__")


def is_record(kind: type) -> bool:
    """Whether `record` has a form for a class."""
    named = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return dataclasses.is_dataclass(kind) or is_typed_dict(kind) or named


def record(kind: type, form_of: Callable[[Any], Form]) -> Form:
    """The form of a class; `form_of` gives those of its fields' annotations."""
    hints = resolved(kind)
    if is_typed_dict(kind):
        fields = {name: _item(kind, name, hint, form_of) for name, hint in hints.items()}
        return _named(kind.__name__, fields, dict)
    fields = {
        name: Field(
            form_of(hints.get(name, Any)),
            parameter.default is parameter.empty,
            parameter.default,
        )
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    named = _named(kind.__name__, fields, lambda values: kind(**values))
    if not issubclass(kind, tuple):
        return named
    # JSON's writers make a list of a NamedTuple, clients that know the names an object.
    listed = _positional(fields, lambda values: kind(*values))
    return dataclasses.replace(choices.union([named, listed]), noun=named.noun)


def written(kind: type, form_of: Callable[[Any], Form]) -> Form:
    """The form of what a response has of a class: a dataclass's fields, set by its init or not."""
    if not dataclasses.is_dataclass(kind):
        return record(kind, form_of)
    hints = resolved(kind)
    fields = {
        each.name: Field(
            form_of(hints.get(each.name, Any)),
            each.default is each.default_factory is dataclasses.MISSING,
            each.default,
        )
        for each in dataclasses.fields(kind)
    }
    return _named(kind.__name__, fields, dict)


def columns(kind: type) -> list[str]:
    """The names of the values that an instance has."""
    if dataclasses.is_dataclass(kind):
        return [each.name for each in dataclasses.fields(kind)]
    return [*getattr(kind, "_fields", resolved(kind))]


def resolved(kind: type) -> dict[str, Any]:
    """The annotations of a class, with what cannot be resolved as Any."""
    try:
        found = typing.get_type_hints(kind, include_extras=True)
        names = vars(sys.modules[kind.__module__])
        return {name: _references(hint, names) for name, hint in found.items()}
    except Exception:
        hints: dict[str, Any] = {}
        for base in reversed(kind.__mro__):
            for name, hint in vars(base).get("__annotations__", {}).items():
                hints[name] = Any
                with contextlib.suppress(Exception):
                    hints[name] = evaluated(hint, vars(sys.modules[base.__module__]))
        return hints


def evaluated(annotation: Any, names: Mapping[str, Any]) -> Any:
    """An annotation, which may be text, with the `names` of its module.

    Raises NameError, SyntaxError or what else the text does.
    """
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    return _references(typing.get_type_hints(holder, dict(names), include_extras=True)["it"], names)


def _references(hint: Any, names: Mapping[str, Any]) -> Any:
    """`hint` with the text inside `list["Item"]` evaluated, which Python 3.10 leaves as it is."""
    if not isinstance(hint, types.GenericAlias):
        return hint
    parts = (
        evaluated(part, names) if isinstance(part, str) else _references(part, names)
        for part in typing.get_args(hint)
    )
    return types.GenericAlias(typing.get_origin(hint), tuple(parts))


def _item(kind: type, name: str, hint: Any, form_of: Callable[[Any], Form]) -> Field:
    # What __required_keys__ says is wrong where annotations are text.
    required = name in getattr(kind, "__required_keys__", ())
    while (word := getattr(typing.get_origin(hint), "_name", "")) in _QUALIFIERS:
        required = word == "Required" if word != "ReadOnly" else required
        (hint,) = typing.get_args(hint)
    return Field(form_of(hint), required)


_QUALIFIERS = ("Required", "NotRequired", "ReadOnly")


def _named(name: str, fields: Mapping[str, Field], make: Callable[[dict[str, Any]], Any]) -> Form:
    plan = [(key, each.form.exact, each.form.read, each) for key, each in fields.items()]
    noun = f"an object with {', '.join(fields)}" if 0 < len(fields) <= 8 else "an object"

    def read(value: Any, at: At, faults: Faults) -> Any:
        if not isinstance(value, dict):
            faults.add(at, f"expected {noun}, got {got(value)}")
            return None
        before = len(faults)
        values = {}
        for key, exact, read, field in plan:
            if key in value:
                item = value[key]
                values[key] = item if type(item) in exact else read(item, (at, key), faults)
            elif field.required:
                faults.add((at, key), f"missing: {field.form.noun} is expected")
        if len(values) != len(value):
            for key in value:
                if key not in fields:
                    faults.add((at, key), f"unknown{choices.nearest(key, [*fields])}")
        return None if len(faults) > before else made(make, values, at, faults)

    schema: dict[str, Any] = {
        "type": "object",
        "title": name,
        "properties": {key: _described(field) for key, field in fields.items()},
        "additionalProperties": False,
    }
    if required := [key for key, field in fields.items() if field.required]:
        schema["required"] = required
    return Form(read, schema, noun, "objects", frozenset({"object"}), parts="keys")


def _described(field: Field) -> dict[str, Any]:
    if type(field.default) in (bool, int, float, str) and field.default == field.default:
        return {**field.form.schema, "default": field.default}
    return field.form.schema


def _positional(fields: Mapping[str, Field], make: Callable[[list[Any]], Any]) -> Form:
    forms = [field.form for field in fields.values()]
    least = sum(field.required for field in fields.values())
    exact = [containers.fixed(forms[:count], list) for count in range(least, len(forms) + 1)]
    noun = f"a list of {least} to {len(forms)} values"

    def read(value: Any, at: At, faults: Faults) -> Any:
        if not isinstance(value, list):
            faults.add(at, f"expected {noun}, got {got(value)}")
            return None
        before = len(faults)
        count = min(max(len(value), least), len(forms))
        values = exact[count - least].read(value, at, faults)
        return None if len(faults) > before else made(make, values, at, faults)

    schema = {**exact[-1].schema, "minItems": least}
    return Form(read, schema, noun, "lists", frozenset({"array"}))


def made(make: Callable[[Any], Any], values: Any, at: At, faults: Faults) -> Any:
    """What a class makes of checked values; what it refuses by ValueError is a fault."""
    try:
        return make(values)
    except (ValueError, AssertionError) as error:
        faults.add(at, str(error) or type(error).__name__)
        return None
