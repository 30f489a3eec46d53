"""Find values that an estimator was trained with, for columns that do not hold numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def known_values(model: Any, columns: Sequence[str]) -> dict[str, object]:
    """Column -> a value that `model` knows, as far as its encoders and vectorizers keep them."""
    found: dict[str, object] = {}
    for step, names in _parts(model, list(columns)):
        categories = _held(step).get("categories_") or ()
        if hasattr(type(step), "build_analyzer"):
            found.update(dict.fromkeys(names, "a text"))
        elif len(categories) == len(names):
            values = [_value(each) for each in categories]
            known = {name: value for name, value in zip(names, values, strict=True) if value != ""}
            found.update(known)
    return found


def _value(categories: Any) -> object:
    """One of a column's categories, as JSON has it; a text if there is one."""
    values = [getattr(each, "item", lambda each=each: each)() for each in categories]
    texts = [each for each in values if isinstance(each, str)]
    numbers = [each for each in values if isinstance(each, (bool, int, float)) and each == each]
    return next(iter([*texts, *numbers]), "")


def _parts(model: Any, columns: list[str]) -> Iterator[tuple[Any, list[str]]]:
    """The fitted parts of a model, with the columns that each gets."""
    yield model, columns
    held = _held(model)
    for name in ("best_estimator_", "estimator_"):
        if name in held:
            yield from _parts(held[name], columns)
    for _, part, chosen in held.get("transformers_") or ():
        if not isinstance(part, str):
            yield from _parts(part, _chosen(chosen, columns))
    for name in ("steps", "transformer_list"):
        for _, part, *_ in held.get(name) or ():
            # A step that makes other columns of these has none that fit the next one's.
            yield from _parts(part, columns)


def _held(model: Any) -> dict[str, Any]:
    """What an estimator keeps; its properties, which may compute or fail, are left alone."""
    return getattr(model, "__dict__", {})


def _chosen(chosen: Any, columns: list[str]) -> list[str]:
    """The columns that a ColumnTransformer's entry names: by name, number, slice or mask."""
    if isinstance(chosen, slice):
        bounds = (chosen.start, chosen.stop)
        if any(isinstance(each, str) for each in bounds):
            first, last = (columns.index(each) if each in columns else None for each in bounds)
            return columns[first : None if last is None else last + 1]
        return columns[chosen]
    listed = [chosen] if isinstance(chosen, (str, int)) else [*chosen]
    if listed and all(isinstance(each, bool) or type(each).__name__ == "bool_" for each in listed):
        return [name for name, wanted in zip(columns, listed, strict=False) if wanted]
    return [each if isinstance(each, str) else columns[int(each)] for each in listed]
