"""Faces of rooms: a package offers names of its modules, and imports a module on first use.

The `__init__` of a room names what the room offers below `if TYPE_CHECKING:`, where type checkers
and editors read it. `face` reads the same lines, so that there is no second list. A name imports
only the module that has it: `%load_ext` has to load within milliseconds.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path


def face(package: str) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The functions `__getattr__` and `__dir__` of `package` (PEP 562)."""

    @cache
    def homes() -> dict[str, str]:
        spec = find_spec(package)
        tree = ast.parse(Path(spec.origin).read_text("utf-8")) if spec and spec.origin else None
        return {
            alias.name: f"{package}.{node.module}"
            for node in (ast.walk(tree) if tree else ())
            if isinstance(node, ast.ImportFrom) and node.level
            for alias in node.names
        }

    def get(name: str) -> object:
        if name not in homes():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes()[name]), name)

    return get, lambda: sorted(homes())
