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
