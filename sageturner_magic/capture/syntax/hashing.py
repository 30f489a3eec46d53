"""Find code whose result depends on how Python hashes text, which differs in each process.

Sets of text are iterated in another order, and `hash()` of text gives another number, unless
PYTHONHASHSEED is set (https://docs.python.org/3/using/cmdline.html#envvar-PYTHONHASHSEED).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

from sageturner_magic.capture.syntax.trees import FUNCTIONS, parts, walk

IsSet = Callable[[ast.expr], bool]
"""Whether a name, attribute or element is a set whose order may differ."""

_UNORDERED = frozenset({"sorted", "len", "min", "max", "sum", "any", "all", "set", "frozenset"})
_ORDERED = frozenset(
    {
        *("list", "tuple", "enumerate", "iter", "zip", "map", "filter", "dict", "str", "repr"),
        *("format", "join", "fromkeys", "extend", "array", "asarray", "tensor", "Series", "Index"),
        *("DataFrame", "chain", "from_iterable", "product", "combinations", "permutations"),
        *("islice", "cycle", "accumulate", "zip_longest", "deque", "Counter", "OrderedDict"),
        *("print", "dumps", "partial", "reduce"),
    }
)
"""Functions whose result has the order of their argument; `_UNORDERED` are those that forget it."""

_BY_KEY = frozenset({"sorted", "min", "max"})
"""Functions that forget the order, unless a `key` makes elements equal."""

_MAKES_SETS = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
_VIEWS = frozenset({"keys", "items"})
"""Methods of dicts whose results become sets by `&`, `|`, `-` and `^`."""

_ADDS = frozenset({"append", "extend", "insert", "write", "writelines", "setdefault"})


def ordered_uses(node: ast.AST, is_set: IsSet) -> Iterator[ast.expr]:
    """Sets in `node` whose order reaches a result; functions are not entered."""
    for parent in _same_run(node):
        for child in parts(parent):
            if not isinstance(child, ast.expr) or not _is_set(child, is_set):
                continue
            if _keeps_order(parent, child, node):
                yield child


def in_functions(node: ast.stmt, is_set: IsSet) -> Iterator[tuple[ast.expr, bool]]:
    """Expressions in the functions of `node` that differ in each process.

    Yields each with whether it is a call of `hash()`, otherwise it is a set.
    """
    for function in walk(node):
        if not isinstance(function, (*FUNCTIONS, ast.Lambda)):
            continue
        body = function.body if isinstance(function.body, list) else [function.body]
        local = _local_sets(body, is_set)
        for part in body:
            found = ordered_uses(part, _either(local, is_set))
            yield from ((each, False) for each in found)
            if getattr(function, "name", "") != "__hash__":
                hashes = (each for each in _same_run(part) if isinstance(each, ast.Call))
                yield from ((each, True) for each in hashes if _is_hash(each))


def _either(local: set[str], is_set: IsSet) -> IsSet:
    return lambda node: (isinstance(node, ast.Name) and node.id in local) or is_set(node)


def _same_run(node: ast.AST) -> Iterator[ast.AST]:
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (*FUNCTIONS, ast.Lambda)):
            continue
        yield node
        waiting += parts(node)


def _is_hash(node: ast.Call) -> bool:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr == "__hash__" and not node.args
    return isinstance(node.func, ast.Name) and node.func.id == "hash"


def _local_sets(body: Sequence[ast.AST], is_set: IsSet) -> set[str]:
    found: dict[str, bool] = {}
    for part in body:
        for node in _same_run(part):
            targets = node.targets if isinstance(node, ast.Assign) else []
            targets = [node.target] if isinstance(node, (ast.For, ast.AnnAssign)) else targets
            for target in targets:
                if isinstance(target, ast.Name):
                    value = getattr(node, "value", None)
                    is_one = isinstance(value, ast.expr) and _is_set(value, is_set)
                    found[target.id] = found.get(target.id, True) and is_one
    return {name for name, is_one in found.items() if is_one}


def _is_set(node: ast.expr, is_set: IsSet) -> bool:
    if isinstance(node, ast.Set):
        return not all(_is_number(each) for each in node.elts)
    if isinstance(node, ast.SetComp):
        return True
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        return is_set(node)
    if isinstance(node, ast.IfExp):
        return _is_set(node.body, is_set) or _is_set(node.orelse, is_set)
    if isinstance(node, ast.BinOp):
        of_sets = isinstance(node.op, (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor))
        sides = (node.left, node.right)
        return of_sets and any(_is_set(each, is_set) or _is_view(each) for each in sides)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name):
            made = node.func.id in ("set", "frozenset") and not is_set(node.func)
            return made and not all(_is_range(each) for each in node.args)
        if isinstance(node.func, ast.Attribute) and node.func.attr in _MAKES_SETS:
            return _is_set(node.func.value, is_set)
    return False


def _is_view(node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Attribute) and called.attr in _VIEWS


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand)
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float, complex))


def _is_range(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "range"


def _keeps_order(parent: ast.AST, child: ast.expr, root: ast.AST) -> bool:
    """Whether `parent` makes something of the set `child` that has its order."""
    if isinstance(parent, ast.comprehension):
        return parent.iter is child and not _is_unordered_comprehension(parent, root)
    if isinstance(parent, (ast.For, ast.AsyncFor)):
        return parent.iter is child and any(map(_adds_in_order, parent.body))
    if isinstance(parent, ast.Call):
        func = parent.func
        called = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        return child is not func and (called in _ORDERED or _sorts_by_key(parent))
    if isinstance(parent, ast.Attribute):
        return parent.attr == "pop"
    if isinstance(parent, ast.Assign):
        return any(isinstance(each, (ast.Tuple, ast.List)) for each in parent.targets)
    return isinstance(parent, (ast.Starred, ast.FormattedValue, ast.YieldFrom))


def _sorts_by_key(call: ast.Call) -> bool:
    """Whether elements that are different may compare as equal: which comes first then counts."""
    is_by_key = isinstance(call.func, ast.Name) and call.func.id in _BY_KEY
    return is_by_key and any(each.arg == "key" for each in call.keywords)


def _is_unordered_comprehension(generator: ast.comprehension, root: ast.AST) -> bool:
    """Whether the comprehension around `generator` makes a set, or goes into `sorted` and such."""
    for node in walk(root):
        if isinstance(node, ast.SetComp) and generator in node.generators:
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            forgets = node.func.id in _UNORDERED and not _sorts_by_key(node)
            taken = node.args[:1] if forgets else []
            if any(generator in getattr(each, "generators", ()) for each in taken):
                return True
    return False


def _adds_in_order(statement: ast.stmt) -> bool:
    """Whether running `statement` for each element leaves a trace of their order."""
    return any(
        isinstance(each, (ast.Yield, ast.YieldFrom, ast.Return, ast.Break))
        or (isinstance(each, ast.Subscript) and isinstance(each.ctx, ast.Store))
        or (isinstance(each, ast.Attribute) and each.attr in _ADDS)
        or (isinstance(each, ast.Name) and each.id == "print")
        for each in walk(statement)
    )
