"""Compare live values of the notebook with what their source says."""

from __future__ import annotations
import __future__

import ast
import dataclasses
import inspect
import itertools
import math
import reprlib
from collections.abc import Collection, Iterator, Sequence
from enum import Enum
from functools import cache, lru_cache
from types import CodeType, FunctionType, MemberDescriptorType, ModuleType
from typing import Any

from sageturner_magic.capture.syntax import FUNCTIONS, Function, Statement
from sageturner_magic.values import package_of

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


class Comparison:
    """Compares values of two worlds, the notebook's and the one made again from source.

    What is one list, dict or set in one world must be one in the other. Values that contain each
    other, or themselves, are walked once.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], tuple[Any, Any]] = {}
        self._partners: dict[int, int] = {}

    def same(self, one: Any, other: Any, depth: int = 0) -> Verdict:
        """Whether two values are alike in type and content."""
        if one is other:
            return True
        if type(one) is not type(other):
            return False
        if isinstance(one, float):
            return _same_float(one, other)
        if one is None or isinstance(one, (bool, int, str, bytes)):
            return bool(one == other)
        if isinstance(one, type):
            # Made by a call: namedtuple("Point", "x y").
            alike = one.__name__ == other.__name__ and one.__bases__ == other.__bases__
            return None if alike else False
        if isinstance(one, (ModuleType, Enum)):
            return False
        if depth > _DEEPEST:
            return None
        if (id(one), id(other)) in self._seen:
            return True
        # Both are kept, so that nothing else gets their ids.
        self._seen[id(one), id(other)] = (one, other)
        changeable = isinstance(one, (dict, list, set))
        if changeable and self._partners.setdefault(id(one), id(other)) != id(other):
            return False
        return self._content(one, other, depth + 1)

    def _content(self, one: Any, other: Any, depth: int) -> Verdict:
        if isinstance(one, FunctionType):
            return self._all(
                depth,
                (one.__defaults__, other.__defaults__),
                (one.__kwdefaults__, other.__kwdefaults__),
                (_enclosed(one), _enclosed(other)),
                known=same_code(one.__code__, other.__code__),
            )
        if isinstance(one, dict):
            pairs = zip([*one, *one.values()], [*other, *other.values()], strict=False)
            return self._all(depth, *pairs, known=len(one) == len(other))
        if isinstance(one, (list, tuple)):
            pairs = zip(one, other, strict=False)
            return self._all(depth, *pairs, known=len(one) == len(other))
        if dataclasses.is_dataclass(one):
            return self.same(vars(one), vars(other), depth) if hasattr(one, "__dict__") else None
        return self._by_library(one, other, depth)

    def _by_library(self, one: Any, other: Any, depth: int) -> Verdict:
        package = package_of(type(one))
        name = type(one).__name__
        names = _BY_EQUALITY.get(package, ())
        if names is None or name in names:
            return bool(one == other)
        if package == "numpy":
            return self._arrays(one, other, depth)
        if package == "torch":
            if name != "Tensor":
                return bool(one == other)
            alike = one.dtype == other.dtype and one.shape == other.shape
            return bool(alike and (one == other).all())
        if package == "functools" and name == "partial":
            return self._all(
                depth,
                (one.func, other.func),
                (one.args, other.args),
                (one.keywords, other.keywords),
            )
        if package == "collections" and name == "deque":
            pairs = zip(one, other, strict=False)
            alike = one.maxlen == other.maxlen and len(one) == len(other)
            return self._all(depth, *pairs, known=alike)
        return None

    def _arrays(self, one: Any, other: Any, depth: int) -> Verdict:
        import numpy

        if not isinstance(one, (numpy.ndarray, numpy.generic)):
            return bool(one == other)
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        if one.dtype.hasobject:
            return self.same(one.tolist(), other.tolist(), depth)
        return bool(one.tobytes() == other.tobytes())

    def _all(self, depth: int, *pairs: tuple[Any, Any], known: Verdict = True) -> Verdict:
        unknown = known is None
        if known is False:
            return False
        for one, other in pairs:
            verdict = self.same(one, other, depth)
            if verdict is False:
                return False
            unknown |= verdict is None
        return None if unknown else True


def _enclosed(function: FunctionType) -> tuple[object, ...]:
    """The values that a function has from the function around it; itself left out."""
    contents = []
    for cell in function.__closure__ or ():
        try:
            contents.append(cell.cell_contents)
        except ValueError:
            contents.append(None)
    return tuple(each for each in contents if each is not function)


def _same_float(one: float, other: float) -> bool:
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other and math.copysign(1, one) == math.copysign(1, other)


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
    return Comparison().same(one, other) is True


def definition_is(
    node: ast.stmt, cell: ast.Module, live: Any, apart: Collection[str] = ()
) -> Verdict:
    """Whether `live` is what the function or class definition `node` of `cell` makes.

    None where a decorator hides the function that it was given.

    Args:
        apart: Attributes of a class that other statements set.
    """
    if isinstance(node, FUNCTIONS):
        return _is_function(node, _compiled([node], cell, live), live)
    if not isinstance(node, ast.ClassDef):
        return None
    if not isinstance(live, type):
        return None if node.decorator_list else False
    if live.__name__ != node.name:
        return False
    made_elsewhere = type(live) is not type or node.decorator_list or hasattr(live, "_fields")
    if not made_elsewhere and _has_more(live, node, apart):
        return False
    verdicts: list[Verdict] = []
    methods = [each for each in node.body if isinstance(each, FUNCTIONS)]
    last = {each.name: each for each in methods}
    for each in methods:
        if each.name in apart:
            continue
        if each.name not in vars(live):
            return None if node.decorator_list else False
        member = vars(live)[each.name]
        if isinstance(member, property):
            member = _accessor(each, member)
        elif each is not last[each.name]:
            continue
        codes = _compiled([node, each], cell, member)
        verdicts.append(_is_function(each, codes, member))
    # A hidden method says nothing against the others.
    return False not in verdicts


def _accessor(method: Function, member: property) -> Any:
    """The function of a property that `method` was given as."""
    for each in method.decorator_list:
        if isinstance(each, ast.Attribute) and each.attr in ("setter", "deleter"):
            return member.fset if each.attr == "setter" else member.fdel
    return member.fget


def _has_more(live: type, node: ast.ClassDef, apart: Collection[str]) -> bool:
    """Whether the class has attributes that neither its body, a base class nor `apart` has.

    A base class may add some to each class below it, as scikit-learn's mixins do.
    """
    if any("__init_subclass__" in vars(base) for base in live.__mro__[1:-1]):
        return False
    bound = {
        each.id if isinstance(each, ast.Name) else getattr(each, "name", "")
        for each in ast.walk(node)
        if isinstance(each, (ast.Name, ast.ClassDef, *FUNCTIONS, ast.alias))
    }
    own = {
        name
        for name, value in vars(live).items()
        if not (name.startswith("__") and name.endswith("__"))
        and not isinstance(value, MemberDescriptorType)
    }
    private = f"_{node.name.lstrip('_')}__"
    return any(not name.startswith(private) for name in own - bound - {*apart})


def _is_function(node: Function, codes: Iterator[CodeType], live: Any) -> Verdict:
    function = plain_function(live)
    decorated = bool(node.decorator_list)
    first = next(codes, None)
    if first is None:
        return None
    if function is None:
        return None if decorated else False
    if any(same_code(code, function.__code__) for code in itertools.chain((first,), codes)):
        return True
    # A decorator may return a function of its own, and not say which one it wraps.
    return None if decorated and function.__name__ != node.name else False


def plain_function(live: Any) -> FunctionType | None:
    """The function that `live` is or wraps, or None."""
    if type(live) is FunctionType and not hasattr(live, "__wrapped__"):
        return live
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
    function = plain_function(live)
    if function is None:
        return 0
    return function.__code__.co_flags & _known_flags()


@cache
def _known_flags() -> int:
    features = [getattr(__future__, name) for name in __future__.all_feature_names]
    return sum({int(feature.compiler_flag) for feature in features})


def _compiled(
    path: list[Function | ast.ClassDef], cell: ast.Module, live: Any
) -> Iterator[CodeType]:
    """The code that the last of `path` (one, or class and method) has, in each way to compile it.

    IPython compiles statement by statement, a magic its whole cell at once; where the cell
    imports a name, Python compiles calls of the name's methods differently.
    """
    flags = _flags(live)
    for part in (path[0], cell):
        code = _code(part, flags)
        for node in path:
            code = _code_called(code, node.name, node.lineno) if code is not None else None
        if code is not None:
            yield code


@lru_cache(maxsize=4096)
def _code(part: ast.stmt | ast.Module, flags: int) -> CodeType | None:
    tree = part if isinstance(part, ast.Module) else ast.Module([part], [])
    flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        code: CodeType = compile(tree, "<cell>", "exec", flags=flags, dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    return code


def _code_called(code: CodeType, name: str, line: int) -> CodeType | None:
    """The code of the last definition of `name` in `code` that begins at `line` or above."""
    found = [each for each in _codes(code.co_consts) if each.co_name == name]
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


def codes_of(statement: Statement, flags: int) -> Iterator[CodeType]:
    """The code of every function and class in `statement`, at any depth."""
    for part in (statement.node, statement.cell.tree):
        waiting = [_code(part, flags & _known_flags())]
        while waiting:
            inner = _codes(code.co_consts) if (code := waiting.pop()) else []
            yield from inner
            waiting += inner


def _codes(constants: Sequence[Any]) -> list[CodeType]:
    return [each for each in constants if isinstance(each, CodeType)]


def short(value: Any) -> str:
    """`value` for a message; of long or deep values the beginning."""
    shortener = reprlib.Repr()
    shortener.maxstring = shortener.maxother = 40
    shortener.maxlevel = 3
    return " ".join(shortener.repr(value).split())


def is_iterator(value: Any) -> bool:
    """Whether `value` is used up by reading it, so that its source does not tell its state."""
    return hasattr(type(value), "__next__")


def kind(value: Any) -> str:
    """The type of `value` with its article, for a message: `an OrderedDict`."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
