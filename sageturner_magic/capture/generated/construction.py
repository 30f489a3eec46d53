"""Find the one assignment that constructs an object of the notebook."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from sageturner_magic.capture.cells import Cell
from sageturner_magic.capture.syntax import statements_of

_MOVES = {"cpu", "cuda", "double", "eval", "float", "half", "requires_grad_", "to", "train"}
"""Methods that return the module itself, elsewhere or in another mode."""


def constructed(name: str, ran: Sequence[Cell], namespace: Mapping[str, object]) -> str:
    """The expression that made what `name` holds, as a call of its class; empty if none is known.

    What the expression names must not have been bound anew since.
    """
    steps = [statement for cell in ran for statement in statements_of(cell)]
    for index in range(len(steps) - 1, -1, -1):
        statement = steps[index]
        if name not in statement.names.binds:
            continue
        node = statement.node
        value = node.value if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
        call = _without_moves(value)
        if isinstance(call, ast.Name) and call.id == name and value is not call:
            # `net = net.to(device)`
            continue
        if not isinstance(call, ast.Call) or not _is_class_of(call.func, name, namespace):
            return ""
        used = {each.id for each in ast.walk(call) if isinstance(each, ast.Name)}
        later = {each for step in steps[index + 1 :] for each in step.names.binds}
        return "" if used & later else ast.unparse(call)
    return ""


def _without_moves(node: ast.expr | None) -> ast.expr | None:
    while (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _MOVES
    ):
        node = node.func.value
    return node


def _is_class_of(node: ast.expr, name: str, namespace: Mapping[str, object]) -> bool:
    path = ast.unparse(node).split(".")
    found: Any = namespace.get(path[0])
    for part in path[1:]:
        found = getattr(found, part, None)
    return isinstance(found, type) and type(namespace.get(name)) is found
