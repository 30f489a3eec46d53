"""What a statement surely binds, and what it changes in place."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from sageturner_magic.capture.syntax.safety import CHANGING_METHODS, sets_attribute
from sageturner_magic.capture.syntax.scope_stack import ScopeNames
from sageturner_magic.capture.syntax.scopes import names_of
from sageturner_magic.capture.syntax.trees import walk


def changed_by(node: ast.stmt, names: ScopeNames) -> set[str]:
    """Names whose value `node` changes in place: `x[0] = …`, `labels.append("bird")`."""
    found = set(names.changes)
    bodies = [node] if isinstance(node, (ast.Expr, ast.For, ast.If, ast.While, ast.With)) else []
    for body in bodies:
        for each in walk(body):
            if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute):
                root: ast.expr = each.func.value
                while isinstance(root, (ast.Attribute, ast.Subscript)):
                    root = root.value
                if each.func.attr in CHANGING_METHODS and isinstance(root, ast.Name):
                    found.add(root.id)
            elif isinstance(each, ast.Call) and sets_attribute(each):
                found |= {each.args[0].id} if isinstance(each.args[0], ast.Name) else set()
    return found


def surely_binds(node: ast.stmt, name: str) -> bool:
    """Whether `name` has a new value after `node`, whatever way it went."""
    if isinstance(node, ast.If):
        return _block_binds(node.body, name) and _block_binds(node.orelse, name)
    if isinstance(node, ast.Try):
        if _block_binds(node.finalbody, name):
            return True
        fails = all(_block_binds(each.body, name) or _ends(each.body) for each in node.handlers)
        return fails and (_block_binds(node.body, name) or _block_binds(node.orelse, name))
    return not isinstance(node, (ast.For, ast.While, ast.AsyncFor))


def _block_binds(body: Sequence[ast.stmt], name: str) -> bool:
    return any(name in names_of(each).binds and surely_binds(each, name) for each in body)


def _ends(body: Sequence[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Raise)


def fills_only_what_is_absent(node: ast.AST, name: str, *, absent: bool = False) -> bool:
    """Whether each write to `name` below `node` stands under a test that it is not there yet.

    As caches and late values have it: `if x is None: x = …`, `if key not in x: x[key] = …`.
    """
    if not absent and writes(node, name):
        return False
    if isinstance(node, ast.If) and _tests_absence(node.test, name):
        return all(
            fills_only_what_is_absent(each, name, absent=each in node.body)
            for each in [*node.body, *node.orelse]
        )
    return all(
        fills_only_what_is_absent(each, name, absent=absent) for each in ast.iter_child_nodes(node)
    )


def _tests_absence(test: ast.expr, name: str) -> bool:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return isinstance(test.operand, ast.Name) and test.operand.id == name
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return False
    side = test.left if isinstance(test.ops[0], ast.Is) else test.comparators[0]
    asks = isinstance(test.ops[0], ast.NotIn) or (
        isinstance(test.ops[0], ast.Is)
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value is None
    )
    return asks and isinstance(side, ast.Name) and side.id == name


def writes(node: ast.AST, name: str) -> bool:
    """Whether `node` itself binds `name`, or changes its value in place."""
    target: ast.AST | None = None
    if isinstance(node, (ast.Name, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
        target = node.value if isinstance(node, ast.Subscript) else node
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        target = node.func.value if node.func.attr in CHANGING_METHODS else None
    return isinstance(target, ast.Name) and target.id == name
