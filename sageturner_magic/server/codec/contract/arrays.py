"""Forms of NumPy's arrays and pandas' tables; only where the user's code imports them."""

from __future__ import annotations

import sys
import typing
import warnings
from collections.abc import Callable
from typing import Any

from . import containers
from .faults import At, Faults, got, kind_of
from .form import ANY, Form

_Fits = Callable[[Any], bool]

_ITEMS: dict[str, tuple[str, str, str, _Fits]] = {
    "f": ("iuf", "a number", "numbers", lambda item: kind_of(item) == "number"),
    "i": ("iuf", "a whole number", "whole numbers", lambda item: kind_of(item) == "number"),
    "b": ("b", "true or false", "true or false", lambda item: type(item) is bool),
    "U": ("U", "a string", "strings", lambda item: type(item) is str),
}
"""By kind of dtype: the kinds that it is made from, words for one and several values, and whether
a value of JSON is one."""


def is_array(kind: Any) -> bool:
    """Whether a type is NumPy's array."""
    return kind is not None and kind is getattr(sys.modules.get("numpy"), "ndarray", None)


def is_table(kind: Any) -> bool:
    """Whether a type is pandas' DataFrame."""
    return kind is not None and kind is getattr(sys.modules.get("pandas"), "DataFrame", None)


def array(arguments: tuple[Any, ...]) -> Form:
    """An array, of the dtype that `np.ndarray[shape, np.dtype[...]]` or `NDArray[...]` names.

    Without a dtype it holds numbers, true and false, or strings, as NumPy makes it of them. ANY
    for a dtype of which JSON has no values.
    """
    import numpy

    dtype = _dtype(numpy, arguments)
    letter = {"u": "i"}.get(dtype.kind, dtype.kind) if dtype is not None else ""
    if letter and letter not in _ITEMS:
        return ANY
    from_kinds, one, several, fits = _ITEMS.get(letter, ("", "a number", "numbers", None))

    def read(value: Any, at: At, faults: Faults) -> Any:
        if not isinstance(value, list | numpy.ndarray):
            faults.add(at, f"expected a list of {several}, got {got(value)}")
            return None
        test = fits or _like(value)
        made = _made(numpy, value)
        if made is None or not _is_of(made, value, from_kinds, test):
            before = len(faults)
            _uneven(value, at, faults, one, test)
            if len(faults) == before:
                faults.add(at, f"expected {several} of at most 64 bits, in lists of one length")
            return None
        return made if dtype is None else _converted(numpy, made, dtype, at, faults)

    schema: dict[str, Any] = {"type": "array", "description": f"Lists of {several}"}
    return Form(read, schema, f"a list of {several}", "lists", frozenset({"array"}))


def _dtype(numpy: Any, arguments: tuple[Any, ...]) -> Any:
    # Abstract types, such as np.floating, and type variables say nothing here.
    scalar = (typing.get_args(arguments[1]) or (None,))[0] if len(arguments) > 1 else None
    if not (isinstance(scalar, type) and issubclass(scalar, numpy.generic)):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = numpy.dtype(scalar)
        except TypeError:
            return None
    return found if found.type is scalar else None


def _like(value: Any) -> _Fits:
    # Whether a value is of the kind that the first one in nested lists is.
    while isinstance(value, list) and value:
        value = value[0]
    kind = kind_of(value)
    kind = kind if kind in ("boolean", "string") else "number"
    return lambda item: kind_of(item) == kind


def _made(numpy: Any, value: Any) -> Any:
    with warnings.catch_warnings():
        # Before 1.24 NumPy warned of lists of unequal length, and made objects of them.
        warnings.simplefilter("ignore")
        try:
            return numpy.asarray(value)
        except (ValueError, OverflowError):
            return None


def _is_of(made: Any, value: Any, from_kinds: str, test: _Fits) -> bool:
    if made.dtype.kind not in (from_kinds or "biufU") and made.size:
        return False
    # NumPy writes numbers as text where one value is text.
    is_text = made.dtype.kind == "U" and isinstance(value, list)
    return not is_text or _all(value, test)


def _all(value: Any, test: _Fits) -> bool:
    if isinstance(value, list):
        return all(_all(item, test) for item in value)
    return test(value)


def _uneven(value: Any, at: At, faults: Faults, one: str, test: _Fits) -> None:
    # What keeps lists from being an array.
    if not isinstance(value, list):
        return
    first = value[0] if value else None
    for index, item in enumerate(value):
        place = (at, index)
        if not isinstance(first, list):
            if not test(item):
                faults.add(place, f"expected {one}, got {got(item)}")
        elif not isinstance(item, list):
            faults.add(place, f"expected a list, got {got(item)}")
        elif len(item) != len(first):
            faults.add(place, f"expected {_values(first)}, as in the first list, got {len(item)}")
        else:
            _uneven(item, place, faults, one, test)


def _values(items: Any) -> str:
    return f"{len(items)} value{'s' * (len(items) != 1)}"


def _converted(numpy: Any, made: Any, dtype: Any, at: At, faults: Faults) -> Any:
    if dtype.kind == "U" and made.size:
        return made
    with numpy.errstate(all="ignore"):
        converted = made.astype(dtype)
    if dtype.kind in "iu" and (wrong := numpy.argwhere(converted != made)).size:
        for index in wrong[0].tolist():
            at = (at, index)
        value = made[tuple(wrong[0])].item()
        faults.add(at, f"expected a whole number that {dtype} holds, got {got(value)}")
    return converted


def table(row: Form | None = None, names: list[str] | None = None) -> Form:
    """A table: a list of rows, or an object with a list for each column.

    Args:
        row: The form of a row: a dict, or an object with these names; None for any.
        names: The columns, in their order; None for those that the rows have.
    """
    import pandas

    rows = containers.several(row or _ROW, list)

    def read(value: Any, at: At, faults: Faults) -> Any:
        if isinstance(value, dict):
            value = _turned(value, at, faults)
        before = len(faults)
        records = rows.read(value, at, faults)
        if len(faults) > before:
            return None
        if names is not None:
            records = [_columns(each, names) for each in records]
        return pandas.DataFrame(records, columns=names)

    columns = {"type": "object", "additionalProperties": {"type": "array"}}
    schema = {"anyOf": [rows.schema, columns]}
    return Form(read, schema, "a list of rows", "lists of rows", frozenset({"array", "object"}))


def _columns(row: Any, names: list[str]) -> dict[str, Any]:
    return row if isinstance(row, dict) else {name: getattr(row, name) for name in names}


def _read_row(value: Any, at: At, faults: Faults) -> Any:
    if not isinstance(value, dict | list):
        faults.add(at, f"expected a row (an object or a list), got {got(value)}")
    return value


_ROW = Form(_read_row, {"type": ["object", "array"]}, "a row", "rows", frozenset({"object"}))


def _turned(columns: dict[str, Any], at: At, faults: Faults) -> list[dict[str, Any]]:
    """Rows of columns; empty where the columns are no lists of one length."""
    known: list[Any] = []
    for name, values in columns.items():
        if not isinstance(values, list):
            faults.add((at, name), f"expected a list, got {got(values)}")
        elif known and len(values) != len(known[0]):
            words = f"expected {_values(known[0])}, as in the first column, got {len(values)}"
            faults.add((at, name), words)
        else:
            known.append(values)
    if len(known) < len(columns):
        return []
    return [dict(zip(columns, each, strict=True)) for each in zip(*columns.values(), strict=True)]
