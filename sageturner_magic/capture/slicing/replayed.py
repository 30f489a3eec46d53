"""Tell whether the module's statements make again what the notebook added to its objects.

Decorators and base classes fill registries, and assignments give classes more methods. The code of
such an addition is found among the statements that the module repeats. Only `staleness` uses this.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from types import CodeType, FunctionType
from typing import Any

from sageturner_magic.capture.runs import RunStatement
from sageturner_magic.capture.slicing.liveness import (
    Comparison,
    codes_of,
    definition_is,
    plain_function,
    same_code,
)
from sageturner_magic.capture.syntax import walk

_PLAIN = (type(None), bool, int, float, complex, str, bytes)


class Replayed:
    """What the statements of a module make, beside the names that they bind."""

    def __init__(self, steps: Sequence[RunStatement]) -> None:
        self._steps = steps

    def fills(self, made: Any, live: Any) -> bool:
        """Whether all that `live` has beside `made` are definitions that the steps register."""
        if made is live or Comparison().same(made, live) is True:
            return True
        if type(made) is not type(live):
            return False
        if isinstance(live, list):
            old, more = live[: len(made)], live[len(made) :]
            kept = len(made) <= len(live) and all(map(self.fills, made, old))
            return kept and len({*map(id, more)}) == len(more) and all(map(self._defines, more))
        if isinstance(live, dict):
            more = [value for key, value in live.items() if key not in made]
            kept = all(key in live and self.fills(made[key], live[key]) for key in made)
            return kept and all(map(self._defines, more)) and self._fills_attributes(made, live)
        is_own = type(live).__module__ == "__main__" and hasattr(live, "__dict__")
        return is_own and self._fills_attributes(made, live)

    def _fills_attributes(self, made: Any, live: Any) -> bool:
        return not hasattr(live, "__dict__") or self.fills(vars(made), vars(live))

    def _defines(self, value: Any) -> bool:
        """Whether `value` is a definition of the steps, or is made of some and of plain data."""
        if isinstance(value, type):
            return any(
                step.node.name == value.__name__
                and definition_is(step.node, step.statement.cell.tree, value)
                for step in self._steps
                if isinstance(step.node, ast.ClassDef)
            )
        if function := _function(value):
            return self._has_code(function.__code__)
        if isinstance(value, (list, tuple, set, frozenset, dict)):
            parts = [*value, *(value.values() if isinstance(value, dict) else ())]
            defined = [each for each in parts if not isinstance(each, _PLAIN)]
            return bool(defined) and all(map(self._defines, defined))
        if type(value).__module__ != "__main__" or not self._defines(type(value)):
            return False
        return all(
            isinstance(each, _PLAIN) or self._defines(each) for each in _attributes_of(value)
        )

    def _has_code(self, code: CodeType) -> bool:
        return any(
            same_code(each, code)
            for step in self._steps
            for each in codes_of(step.statement, code.co_flags)
        )

    def attributes(self, live: type, changes: Sequence[RunStatement]) -> set[str]:
        """The attributes of class `live` that the steps set or delete after its definition.

        Args:
            changes: The statements that assign to the class.
        """
        named = set(_set_by(changes))
        found = {name for name in named if name not in vars(live)}
        for name, value in vars(live).items():
            function = _function(value)
            if function is None or function.__module__ != "__main__":
                found |= {name} & named
            elif name in named or not function.__qualname__.startswith(f"{live.__qualname__}."):
                found |= {name} if self._has_code(function.__code__) else set()
        return found


def _function(value: Any) -> FunctionType | None:
    """The function that `value` is, without following what it wraps, or holds."""
    return value if isinstance(value, FunctionType) else plain_function(value)


def _attributes_of(value: Any) -> Collection[Any]:
    return vars(value).values() if hasattr(value, "__dict__") else [value]


def _set_by(changes: Sequence[RunStatement]) -> Iterator[str]:
    """Names of attributes that statements set or delete."""
    for change in changes:
        for each in walk(change.node):
            if isinstance(each, ast.Attribute) and not isinstance(each.ctx, ast.Load):
                yield each.attr
            elif (
                isinstance(each, ast.Call)
                and ast.unparse(each.func) in ("setattr", "delattr")
                and isinstance(each.args[1], ast.Constant)
            ):
                yield str(each.args[1].value)
