"""Read one type of value: the common shape of all forms, and the forms of single values."""

from __future__ import annotations

import base64
import datetime
import decimal
import pathlib
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .faults import At, Faults, got

Read = Callable[[Any, At, Faults], Any]
"""Gives the value in its type. Where it is not of the type, adds a fault and gives anything."""


@dataclass(frozen=True)
class Form:
    """How a decoded value becomes one type.

    Attributes:
        read: See `Read`.
        schema: The JSON schema of what `read` takes.
        noun: What is expected, for messages: `a number`.
        plural: Several of it: `numbers`.
        kinds: The JSON types that it takes.
        exact: Python types of which every value is taken as it is, so that `read` may be skipped.
        parts: What the value has so many of, where a length can be limited: `numbers`.
    """

    read: Read
    schema: dict[str, Any]
    noun: str
    plural: str
    kinds: frozenset[str]
    exact: frozenset[type] = frozenset()
    parts: str = "values"


ANY = Form(
    lambda value, at, faults: value,
    {},
    "a value",
    "values",
    frozenset({"null", "boolean", "number", "string", "array", "object"}),
)
"""What is not checked."""


def _converted(
    convert: Callable[[Any], Any], noun: str, plural: str, schema: dict[str, Any], *kinds: type
) -> Form:
    # A form of values whose `convert` raises ValueError, OverflowError or ArithmeticError.
    def read(value: Any, at: At, faults: Faults) -> Any:
        if type(value) in kinds:
            try:
                return convert(value)
            except (ValueError, ArithmeticError):
                pass
        faults.add(at, f"expected {noun}, got {got(value)}")
        return None

    names = {int: "number", float: "number", str: "string"}
    return Form(read, schema, noun, plural, frozenset(names[kind] for kind in kinds))


def _same(kind: type, noun: str, plural: str, name: str) -> Form:
    def read(value: Any, at: At, faults: Faults) -> Any:
        if type(value) is not kind:
            faults.add(at, f"expected {noun}, got {got(value)}")
        return value

    parts = "characters" if kind is str else "values"
    return Form(
        read, {"type": name}, noun, plural, frozenset({name}), frozenset({kind}), parts=parts
    )


def _whole(value: float) -> int:
    # To JSON 1.0 is an integer; it has one type of numbers.
    if not float(value).is_integer():
        raise ValueError
    return int(value)


def _int() -> Form:
    convert = _converted(_whole, "a whole number", "whole numbers", {"type": "integer"}, float)

    def read(value: Any, at: At, faults: Faults) -> Any:
        return value if type(value) is int else convert.read(value, at, faults)

    return Form(read, convert.schema, convert.noun, convert.plural, convert.kinds, frozenset({int}))


def _float() -> Form:
    convert = _converted(float, "a number", "numbers", {"type": "number"}, int)

    def read(value: Any, at: At, faults: Faults) -> Any:
        return value if type(value) is float else convert.read(value, at, faults)

    return Form(
        read, convert.schema, convert.noun, convert.plural, convert.kinds, frozenset({float})
    )


_BASE64 = r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"


def _bytes() -> Form:
    # In JSON as answers write them; a body of a binary type is the bytes themselves.
    schema = {"type": "string", "contentEncoding": "base64", "pattern": _BASE64}
    noun = "bytes in base64"
    text = _converted(lambda value: base64.b64decode(value, validate=True), noun, noun, schema, str)

    def read(value: Any, at: At, faults: Faults) -> Any:
        return value if type(value) is bytes else text.read(value, at, faults)

    return Form(read, schema, noun, noun, text.kinds, frozenset({bytes}), parts="bytes")


def _moment(kind: Any) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        # Python 3.10 knows no Z.
        return kind.fromisoformat(re.sub(r"[Zz]$", "+00:00", text))

    return convert


def _finite(value: Any) -> decimal.Decimal:
    number = decimal.Decimal(str(value))
    if not number.is_finite():
        raise ValueError
    return number


def _text(name: str) -> dict[str, Any]:
    return {"type": "string", "format": name}


SINGLE: dict[Any, Form] = {
    int: _int(),
    float: _float(),
    bool: _same(bool, "true or false", "true or false", "boolean"),
    str: _same(str, "a string", "strings", "string"),
    type(None): _same(type(None), "null", "null", "null"),
    bytes: _bytes(),
    datetime.datetime: _converted(
        _moment(datetime.datetime), 'a time such as "2026-01-31T12:00:00Z"', "times",
        _text("date-time"), str,
    ),
    datetime.date: _converted(
        datetime.date.fromisoformat, 'a date such as "2026-01-31"', "dates", _text("date"), str
    ),
    datetime.time: _converted(
        _moment(datetime.time), 'a time such as "12:00:00"', "times", _text("time"), str
    ),
    datetime.timedelta: _converted(
        lambda value: datetime.timedelta(seconds=value), "a number of seconds",
        "numbers of seconds", {"type": "number"}, int, float,
    ),
    decimal.Decimal: _converted(
        _finite, "a number", "numbers", {"type": "number"}, int, float
    ),
    uuid.UUID: _converted(uuid.UUID, "a UUID", "UUIDs", _text("uuid"), str),
    pathlib.Path: _converted(pathlib.Path, "a path", "paths", {"type": "string"}, str),
}  # fmt: skip
"""The forms of single values; those that JSON does not know are read as answers write them."""
