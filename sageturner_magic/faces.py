"""Faces of rooms: a package offers names of its modules, and imports a module on first use.

The `__init__` of a room imports what the room offers below `if TYPE_CHECKING:`, where type checkers
and editors read it. `face` reads the same imports, so that there is no second list. A name imports
only the module that has it: `%load_ext` has to load within milliseconds.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path


def face(package: str) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the functions `__getattr__` and `__dir__` of `package` (PEP 562)."""

    @cache
    def homes() -> dict[str, tuple[str, str]]:
        tree = ast.parse(Path(str(sys.modules[package].__file__)).read_bytes())
        offers = [
            node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level
        ]
        return {
            name.asname or name.name: (f"{package}.{offer.module}", name.name)
            for offer in offers
            for name in offer.names
        }

    def get(name: str) -> object:
        if name not in homes():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, known_as = homes()[name]
        return getattr(import_module(module), known_as)

    return get, lambda: sorted(homes())
