"""Run constants in a fresh process and describe them, so that two processes can be compared.

The kernel imports this module to describe its own values; a fresh process runs the file with a job
as JSON on standard input. It imports nothing but the standard library.
"""

from __future__ import annotations

import enum
import functools
import json
import os
import sys
import types
from typing import Any

_BY_REPR = ("datetime", "decimal", "fractions", "ipaddress", "pathlib", "re", "uuid", "zoneinfo")
"""Modules whose values are equal if their representation is."""

_DEEPEST = 40


class _UnknownError(Exception):
    """A value of a kind that cannot be described."""


def described(value: object) -> str | None:
    """The type, content and order of `value`; None for what cannot be described."""
    try:
        return _text(value, 0)
    except Exception:
        return None


def _text(value: Any, depth: int) -> str:
    if depth > _DEEPEST:
        raise _UnknownError
    kind = type(value)
    name = kind.__qualname__
    if value is None or kind in (bool, int, float, complex, str, bytes, bytearray, range):
        return f"{name}:{value!r}"
    if isinstance(value, enum.Enum):
        return f"{name}:{value.name}"
    if isinstance(value, (set, frozenset)):
        return f"{name}:{sorted(_text(each, depth + 1) for each in value)}"
    if isinstance(value, (list, tuple)) or name == "deque":
        return f"{name}:{[_text(each, depth + 1) for each in value]}"
    if isinstance(value, (dict, types.MappingProxyType)):
        pairs = [(_text(key, depth + 1), _text(value[key], depth + 1)) for key in value]
        return f"{name}:{pairs}"
    if isinstance(value, types.FunctionType):
        return f"function:{_text([value.__defaults__, value.__kwdefaults__], depth + 1)}"
    if isinstance(value, type):
        return _of_class(value, depth + 1)
    if isinstance(value, functools.partial):
        return f"partial:{_text([value.args, value.keywords], depth + 1)}"
    return _of_library(value, depth + 1)


def _of_class(value: type, depth: int) -> str:
    """What its body made; what cannot be described there is left out."""
    found = []
    for name in sorted(vars(value)):
        member = vars(value)[name]
        member = getattr(member, "__func__", member)
        if not name.startswith("__") or isinstance(member, types.FunctionType):
            try:
                found.append(f"{name}={_text(member, depth)}")
            except _UnknownError:
                found.append(name)
    return f"class {value.__qualname__}:{found}"


def _of_library(value: Any, depth: int) -> str:
    kind = type(value)
    home = kind.__module__.partition(".")[0]
    if home in _BY_REPR:
        return f"{kind.__qualname__}:{value!r}"
    if home == "numpy" and hasattr(value, "dtype"):
        return f"{kind.__qualname__}:{value.dtype}:{_text(value.tolist(), depth)}"
    if home in ("__main__", "sageturner", "types") and hasattr(value, "__dict__"):
        return f"{kind.__qualname__}:{_text(vars(value), depth)}"
    raise _UnknownError


def _run(pieces: list[tuple[str, list[str]]], names: list[str]) -> dict[str, str | None]:
    """The descriptions of `names` after `pieces` have run; an error's where its piece failed."""
    module = types.ModuleType("sageturner")
    sys.modules["sageturner"] = module
    failed: dict[str, str] = {}
    for source, binds in pieces:
        try:
            exec(compile(source, "<constants>", "exec", dont_inherit=True), vars(module))
        except (ImportError, NameError):
            # Something that is not made here.
            continue
        except Exception as error:
            failed.update(dict.fromkeys(binds, type(error).__name__))
    made = {name: described(vars(module)[name]) for name in names if name in vars(module)}
    return {**made, **{name: failed[name] for name in names if name in failed}}


def _main() -> None:
    job = json.load(sys.stdin)
    report = os.fdopen(os.dup(1), "w", encoding="ascii")
    # What the code prints is nobody's.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.path[:] = job["path"]
    json.dump(_run(job["pieces"], job["names"]), report)
    report.close()


if __name__ == "__main__":
    _main()
