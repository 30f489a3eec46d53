"""Write plain values of the notebook as Python source that gives the same value anywhere."""

from __future__ import annotations

import datetime
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType

LONGEST = 4000
"""Characters of the longest literal; a larger value is a file."""
_WIDTH = 88


class NotPlainError(Exception):
    """The value is not plain data, is too large for source, or contains something twice."""


class Literal:
    """The source of one value.

    Attributes:
        text: An expression that makes a value of the same types and content.
        modules: Modules that it names.
    """

    def __init__(self, value: object, namespace: Mapping[str, object]) -> None:
        """Raises NotPlainError."""
        self._namespace = namespace
        self._length = 0
        self.modules: set[str] = set()
        self._holds: set[int] = set()
        self.text = self._text(value, "")

    def _text(self, value: object, indent: str) -> str:
        kind = type(value)
        write = _WRITERS.get(kind)
        if write is not None:
            text = write(self, value, indent)
        elif kind.__module__ == "numpy" and hasattr(value, "dtype") and hasattr(value, "item"):
            text = self._numpy(value, indent)
        else:
            raise NotPlainError
        if kind not in _CONTAINERS:
            self._length += len(text)
        if self._length > LONGEST:
            raise NotPlainError
        return text

    def _numpy(self, value: object, indent: str) -> str:
        plain: object = value.item() if getattr(value, "shape", None) == () else value  # type: ignore[attr-defined]
        if type(plain) not in (bool, int, float, complex, str, bytes):
            raise NotPlainError
        return self._named("numpy", f"{type(value).__name__}({self._text(plain, indent)})")

    def _float(self, value: object, _indent: str) -> str:
        assert isinstance(value, float)
        return repr(value) if math.isfinite(value) else f'float("{value}")'

    def _complex(self, value: object, indent: str) -> str:
        assert isinstance(value, complex)
        return f"complex({self._float(value.real, indent)}, {self._float(value.imag, indent)})"

    def _date(self, value: object, _indent: str) -> str:
        zone = getattr(value, "tzinfo", None)
        if zone not in (None, datetime.timezone.utc):
            raise NotPlainError
        return self._named("datetime", repr(value).removeprefix("datetime."))

    def _named(self, module: str, text: str) -> str:
        """`text` of `module`, if the notebook means the module by its name."""
        known = self._namespace.get(module, sys.modules.get(module))
        if not isinstance(known, ModuleType) or known.__name__ != module:
            raise NotPlainError
        self.modules.add(module)
        return f"{module}.{text}"

    def _sequence(self, value: object, indent: str) -> str:
        assert isinstance(value, (list, tuple))
        opening, closing = ("[", "]") if isinstance(value, list) else ("(", ")")
        self._enter(value)
        parts = [self._text(each, indent + "    ") for each in value]
        if len(parts) == 1 and isinstance(value, tuple):
            return f"({parts[0]},)"
        return _bracketed(opening, parts, closing, indent)

    def _set(self, value: object, indent: str) -> str:
        assert isinstance(value, (set, frozenset))
        self._enter(value)
        # The order of a set depends on the process; a file must not.
        parts = sorted(self._text(each, indent + "    ") for each in value)
        if isinstance(value, frozenset):
            return f"frozenset({_bracketed('{', parts, '}', indent)})" if parts else "frozenset()"
        return _bracketed("{", parts, "}", indent) if parts else "set()"

    def _dict(self, value: object, indent: str) -> str:
        assert isinstance(value, dict)
        self._enter(value)
        inner = indent + "    "
        parts = [f"{self._text(key, inner)}: {self._text(value[key], inner)}" for key in value]
        return _bracketed("{", parts, "}", indent)

    def _enter(self, value: list[object] | tuple[object, ...] | set[object] | object) -> None:
        if isinstance(value, (list, set, dict)):
            if id(value) in self._holds:
                raise NotPlainError
            self._holds.add(id(value))


def _bracketed(opening: str, parts: list[str], closing: str, indent: str) -> str:
    one_line = f"{opening}{', '.join(parts)}{closing}"
    if "\n" not in one_line and len(indent) + len(one_line) <= _WIDTH:
        return one_line
    lines = "".join(f"{indent}    {line}\n" for line in _filled(parts, _WIDTH - len(indent) - 4))
    return f"{opening}\n{lines}{indent}{closing}"


def _filled(parts: list[str], width: int) -> Iterator[str]:
    """`parts` with commas, as many in a line as fit."""
    line = ""
    for part in parts:
        if line and ("\n" in part or len(line) + len(part) + 2 > width):
            yield line
            line = ""
        line += f"{' ' if line else ''}{part},"
    if line:
        yield line


def _repr(_literal: Literal, value: object, _indent: str) -> str:
    return repr(value)


_CONTAINERS = (list, tuple, set, frozenset, dict)
_WRITERS: Mapping[type, Callable[[Literal, object, str], str]] = {
    **dict.fromkeys((type(None), bool, int, str, bytes, type(...)), _repr),
    **dict.fromkeys((datetime.date, datetime.timedelta), Literal._date),
    **dict.fromkeys((datetime.datetime, datetime.time), Literal._date),
    float: Literal._float,
    complex: Literal._complex,
    list: Literal._sequence,
    tuple: Literal._sequence,
    set: Literal._set,
    frozenset: Literal._set,
    dict: Literal._dict,
}
