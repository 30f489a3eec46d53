"""Tell which live values contain a set that each process iterates in another order."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from types import ModuleType
from typing import Any

_DEEPEST = 6
_MOST = 2000
"""Elements of one container that are looked at."""


def has_stable_order(value: object) -> bool:
    """Whether a set is iterated in the same order in each process: one of numbers is."""
    return isinstance(value, (set, frozenset)) and all(map(_hashes_alike, value))


def _hashes_alike(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_hashes_alike, value))
    return type(value) in (int, float, bool, complex)


def value_at(node: ast.expr, namespace: Mapping[str, object]) -> Any:
    """The live value of `CONFIG["labels"]` or `Config.labels`; None where code would run for it."""
    if isinstance(node, ast.Name):
        return namespace.get(node.id)
    if isinstance(node, ast.Attribute):
        holder = value_at(node.value, namespace)
        is_plain = hasattr(holder, "__dict__") and not isinstance(holder, ModuleType)
        return vars(holder).get(node.attr) if is_plain else None
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        holder, key = value_at(node.value, namespace), node.slice.value
        if type(holder) is dict:
            return holder.get(key)
        is_there = type(holder) in (list, tuple) and type(key) is int and 0 <= key < len(holder)
        return holder[key] if is_there else None
    return None


def holds_unordered(value: object, depth: int = 0) -> bool:
    """Whether `value` is, or has in it, a set without a stable order."""
    if depth > _DEEPEST or isinstance(value, (str, bytes, int, float, ModuleType)):
        return False
    if isinstance(value, (set, frozenset)):
        return not has_stable_order(value)
    if isinstance(value, dict):
        parts = list(value.values())
    elif isinstance(value, (list, tuple)):
        parts = list(value)
    else:
        parts = list(vars(value).values()) if hasattr(value, "__dict__") else []
    return any(holds_unordered(each, depth + 1) for each in parts[:_MOST])
