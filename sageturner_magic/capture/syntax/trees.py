"""Walk syntax trees, and find the names that a function's body declares."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """`node` and all below it, as `ast.walk` has it, in half of its time and in no order."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        if type(node) not in _LEAVES:
            waiting += parts(node)


_LEAVES = frozenset({ast.Constant, ast.Name})


def parts(node: ast.AST) -> list[ast.AST]:
    """What `ast.iter_child_nodes` gives, in a quarter of its time."""
    found: list[ast.AST] = []
    for field_name in node._fields:
        value = getattr(node, field_name, None)
        if isinstance(value, list):
            found += [each for each in value if isinstance(each, ast.AST)]
        elif isinstance(value, ast.AST) and value._fields:
            found.append(value)
    return found


@dataclass(frozen=True)
class Declared:
    """The names that the body of a function binds or declares, as they stand in it."""

    bound: set[str]
    globals: set[str]
    nonlocals: set[str]


def declared_in(body: Sequence[ast.AST]) -> Declared:
    """What the statements of a function, or the expression of a lambda, bind and declare."""
    declared = Declared(set(), set(), set())
    for node in _same_scope(body):
        if isinstance(node, ast.Global):
            declared.globals.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            declared.nonlocals.update(node.names)
        elif type(node) in _BINDING:
            declared.bound.update(_bound_by(node))
    return declared


def is_guarded(name: str, node: ast.AST) -> bool:
    """Whether `name` is read only in branches of functions, which need not be taken."""
    if isinstance(node, ast.Name):
        return node.id != name
    guards = (ast.If, ast.Try, ast.IfExp, ast.BoolOp)
    if isinstance(node, guards):
        tested = [node.test] if isinstance(node, (ast.If, ast.IfExp)) else []
        return all(is_guarded(name, each) for each in tested)
    return all(is_guarded(name, each) for each in parts(node))


_BINDING = frozenset(
    {
        *(ast.Name, *FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom, ast.ExceptHandler),
        *(ast.MatchAs, ast.MatchStar, ast.MatchMapping),
    }
)
_NOT_ENTERED = frozenset({*FUNCTIONS, ast.ClassDef, ast.Lambda, ast.Constant, ast.Name})


def _same_scope(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """What of `body` and below it belongs to the same function scope, in no order.

    Comprehensions are entered, because a walrus in one binds in the function around it.
    """
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if type(node) not in _NOT_ENTERED:
            skipped = node.target if isinstance(node, ast.comprehension) else None
            waiting += [each for each in parts(node) if each is not skipped]


def _bound_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
        return [node.id]
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Import):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        return [node.name] if node.name else []
    if isinstance(node, ast.MatchMapping):
        return [node.rest] if node.rest else []
    return []


def default_values(arguments: ast.arguments) -> list[ast.expr]:
    """The expressions of all default values, which are evaluated with the definition."""
    return [*arguments.defaults, *(each for each in arguments.kw_defaults if each is not None)]


def _all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    return [
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        *([arguments.vararg] if arguments.vararg else []),
        *([arguments.kwarg] if arguments.kwarg else []),
    ]


def parameter_names(arguments: ast.arguments) -> list[str]:
    """The names of all parameters, `*args` and `**kwargs` among them."""
    return [argument.arg for argument in _all_arguments(arguments)]


def annotations_of(arguments: ast.arguments, returns: ast.expr | None) -> list[ast.expr]:
    """The annotations of all parameters and of what is returned."""
    found = [argument.annotation for argument in _all_arguments(arguments)]
    return [each for each in [*found, returns] if each is not None]


def expressions_below(node: ast.AST) -> list[ast.expr]:
    """The expressions directly below `node`, through what is none: keywords, comprehensions."""
    found: list[ast.expr] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            found.append(child)
        else:
            # comprehension, keyword, slice parts
            found += expressions_below(child)
    return found
