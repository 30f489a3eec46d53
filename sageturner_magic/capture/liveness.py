"""Whether what lives in the notebook is still what the source says."""

from __future__ import annotations
import __future__

import ast
import dataclasses
import inspect
import math
import sys
from collections.abc import Mapping, Sequence
from enum import Enum
from types import CodeType, FunctionType, ModuleType
from typing import Any

from sageturner_magic.capture.scopes import FUNCTIONS, Function

Verdict = bool | None
"""True: the same; False: not the same; None: cannot be told."""

_BY_EQUALITY = {
    "collections": {"Counter", "ChainMap"},
    "datetime": None,
    "decimal": None,
    "fractions": None,
    "ipaddress": None,
    "pathlib": None,
    "re": None,
    "uuid": None,
    "zoneinfo": None,
    "types": {"SimpleNamespace", "MappingProxyType"},
    "builtins": {"range", "slice", "complex", "bytearray", "frozenset", "set"},
}
_DEEPEST = 40


def same(one: Any, other: Any, depth: int = 0) -> Verdict:
    """Whether two values are alike in type and content."""
    if one is other:
        return True
    if type(one) is not type(other) or depth > _DEEPEST:
        return False if type(one) is not type(other) else None
    if isinstance(one, float):
        return (one == other and math.copysign(1, one) == math.copysign(1, other)) or (
            math.isnan(one) and math.isnan(other)
        )
    if one is None or isinstance(one, (bool, int, str, bytes)):
        return bool(one == other)
    if isinstance(one, type):
        # Made by a call: namedtuple("Point", "x y").
        alike = one.__name__ == other.__name__ and one.__bases__ == other.__bases__
        return None if alike else False
    if isinstance(one, (ModuleType, Enum)):
        return False
    if isinstance(one, FunctionType):
        return _both(
            same_code(one.__code__, other.__code__),
            same(one.__defaults__, other.__defaults__, depth + 1),
            same(one.__kwdefaults__, other.__kwdefaults__, depth + 1),
        )
    if isinstance(one, dict):
        return _both(
            same(list(one), list(other), depth + 1),
            *(same(one[key], other[key], depth + 1) for key in one if key in other),
        )
    if isinstance(one, (list, tuple)):
        if len(one) != len(other):
            return False
        return _both(*(same(a, b, depth + 1) for a, b in zip(one, other, strict=True)))
    if dataclasses.is_dataclass(one):
        return same(vars(one), vars(other), depth + 1) if hasattr(one, "__dict__") else None
    return _by_library(one, other, depth)


def _by_library(one: Any, other: Any, depth: int) -> Verdict:
    package = type(one).__module__.partition(".")[0]
    names = _BY_EQUALITY.get(package, ())
    if names is None or type(one).__name__ in names:
        return bool(one == other)
    if package == "numpy":
        import numpy

        if isinstance(one, numpy.ndarray) and one.dtype.hasobject:
            return _both(one.shape == other.shape, same(one.tolist(), other.tolist(), depth + 1))
        if isinstance(one, (numpy.ndarray, numpy.generic)):
            alike = one.dtype == other.dtype and one.shape == other.shape
            return bool(alike and one.tobytes() == other.tobytes())
        return bool(one == other)
    if package == "torch":
        if type(one).__name__ == "Tensor":
            return bool(one.dtype == other.dtype and one.shape == other.shape) and bool(
                (one == other).all()
            )
        return bool(one == other)
    if package == "functools" and type(one).__name__ == "partial":
        return _both(
            same(one.func, other.func, depth + 1),
            same(one.args, other.args, depth + 1),
            same(one.keywords, other.keywords, depth + 1),
        )
    if package == "collections" and type(one).__name__ == "deque":
        return _both(one.maxlen == other.maxlen, same(list(one), list(other), depth + 1))
    return None


def _both(*verdicts: Verdict) -> Verdict:
    if False in verdicts:
        return False
    return None if None in verdicts else True


_CODE_FIELDS = (
    "co_names",
    "co_varnames",
    "co_freevars",
    "co_cellvars",
    "co_argcount",
    "co_kwonlyargcount",
    "co_posonlyargcount",
    "co_flags",
)


def same_code(one: CodeType, other: CodeType) -> bool:
    """Whether two code objects do the same, wherever they were written."""
    if one.co_code != other.co_code or len(one.co_consts) != len(other.co_consts):
        return False
    if any(getattr(one, name) != getattr(other, name) for name in _CODE_FIELDS):
        return False
    return all(map(_same_constant, one.co_consts, other.co_consts))


def _same_constant(one: Any, other: Any) -> bool:
    if isinstance(one, CodeType) and isinstance(other, CodeType):
        return same_code(one, other)
    if isinstance(one, frozenset):
        return bool(one == other)
    return same(one, other) is True


def definition_is(node: ast.stmt, cell: ast.Module, live: Any) -> Verdict:
    """Whether `live` is what the function or class definition `node` of `cell` makes.

    None where a decorator hides the function that it was given.
    """
    if isinstance(node, FUNCTIONS):
        return _is_function(node, _compiled([node.name], node, cell, live), live)
    if not isinstance(node, ast.ClassDef):
        return None
    if not isinstance(live, type):
        return None if node.decorator_list else False
    if live.__name__ != node.name:
        return False
    verdicts: list[Verdict] = []
    for each in node.body:
        if isinstance(each, FUNCTIONS):
            if each.name not in vars(live):
                return None if node.decorator_list else False
            member = vars(live)[each.name]
            codes = _compiled([node.name, each.name], node, cell, member)
            verdicts.append(_is_function(each, codes, member))
    # A hidden method says nothing against the others.
    return False not in verdicts


def _is_function(node: Function, codes: Sequence[CodeType], live: Any) -> Verdict:
    function = _plain_function(live)
    decorated = bool(node.decorator_list)
    if not codes:
        return None
    if function is None:
        return None if decorated else False
    if any(same_code(code, function.__code__) for code in codes):
        return True
    # A decorator may return a function of its own, and not say which one it wraps.
    return None if decorated and function.__name__ != node.name else False


def _plain_function(live: Any) -> FunctionType | None:
    if isinstance(live, property):
        live = live.fget
    if isinstance(live, (staticmethod, classmethod)):
        live = live.__func__
    if type(live).__name__ == "cached_property":
        live = getattr(live, "func", live)
    try:
        live = inspect.unwrap(live)
    except ValueError:
        return None
    return live if isinstance(live, FunctionType) else None


def _flags(live: Any) -> int:
    """The `__future__` flags under which the live function was compiled."""
    function = _plain_function(live)
    if function is None:
        return 0
    known: set[int] = {
        getattr(__future__, name).compiler_flag for name in __future__.all_feature_names
    }
    return function.__code__.co_flags & sum(known)


def _compiled(path: list[str], node: ast.stmt, cell: ast.Module, live: Any) -> list[CodeType]:
    """The code that `path` (a name, or class and method) has, in each way it may be compiled.

    IPython compiles statement by statement, a magic its whole cell at once; where the cell
    imports a name, Python compiles calls of the name's methods differently.
    """
    found: list[CodeType] = []
    for tree in (ast.Module([node], []), cell):
        try:
            code: CodeType | None = compile(
                tree,
                "<cell>",
                "exec",
                flags=_flags(live) | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
                dont_inherit=True,
            )
        except (SyntaxError, ValueError):
            continue
        for depth, name in enumerate(path):
            first = node.lineno if depth == 0 else 0
            code = _code_called(code, name, first) if code is not None else None
        if code is not None:
            found.append(code)
    return found


def _code_called(code: CodeType, name: str, line: int) -> CodeType | None:
    """The code of the last definition of `name` in `code`; of that around `line` if not 0."""
    found = [each for each in _codes(code.co_consts) if each.co_name == name]
    if line:
        found = [each for each in found if each.co_firstlineno <= line]
    if found:
        return found[-1]
    for each in _codes(code.co_consts):
        # Type parameters put a scope of their own around the definition.
        if each.co_name.startswith("<generic parameters of"):
            inner = _code_called(each, name, line)
            if inner is not None:
                return inner
    return None


def _codes(constants: Sequence[Any]) -> list[CodeType]:
    return [each for each in constants if isinstance(each, CodeType)]


def importable(name: str, live: Any) -> str:
    """The import that gives `live` anywhere (`import numpy as np`), or an empty string."""
    if isinstance(live, ModuleType):
        known = sys.modules.get(live.__name__) is live and live.__name__ != "__main__"
        if not known:
            return ""
        plain = "." not in live.__name__ and live.__name__ == name
        return f"import {live.__name__}" + ("" if plain else f" as {name}")
    module, qualified = getattr(live, "__module__", None), getattr(live, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualified, str) or "." in qualified:
        return ""
    home = sys.modules.get(module)
    if (
        home is None
        or module in ("__main__", "builtins")
        or getattr(home, qualified, None) is not live
    ):
        return ""
    return f"from {module} import {qualified}" + ("" if qualified == name else f" as {name}")


def short(value: Any, most: int = 40) -> str:
    """`value` for a message, cut to `most` characters."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= most else text[: most - 1] + "…"


def is_iterator(value: Any) -> bool:
    """Whether `value` is used up by reading it, so that its source does not tell its state."""
    return hasattr(type(value), "__next__")


def kind(value: Any) -> str:
    """The type of `value` with its article, for a message: `an OrderedDict`."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


Namespace = Mapping[str, Any]
