"""Outline a request from what predict() reads of it, for code without an example."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator

BLANK = "…"
"""Stands where a value is to be filled in."""


def outline(source: str) -> str:
    """Return JSON with the keys that predict() reads of its request; `"…"` where it reads none."""
    keys: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == "predict":
            arguments = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
            keys = [*_keys(node, arguments[1])] if len(arguments) > 1 else []
    return json.dumps(dict.fromkeys(keys, BLANK) if keys else BLANK, ensure_ascii=False)


def _keys(node: ast.AST, request: str) -> Iterator[str]:
    """The text keys in `request["key"]` and `request.get("key")`, in the order of the code."""
    match node:
        case ast.Subscript(ast.Name(id=name), ast.Constant(value=str(key))) if name == request:
            yield key
        case ast.Call(ast.Attribute(ast.Name(id=name), "get"), [ast.Constant(value=str(key)), *_]):
            if name == request:
                yield key
    for child in ast.iter_child_nodes(node):
        yield from _keys(child, request)
