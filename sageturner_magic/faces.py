"""Faces of rooms: a package offers names of its modules, and imports a module on first use.

The `__init__` of a room names what the room offers below `if TYPE_CHECKING:`, one import a line,
where type checkers and editors read it. `face` reads the same lines, so that there is no second
list. A name imports only the module that has it: `%load_ext` has to load within milliseconds.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path

_OFFER = re.compile(r"^    from \.([\w.]+) import (\w+) as \2$", re.MULTILINE)


def face(package: str) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the functions `__getattr__` and `__dir__` of `package` (PEP 562)."""

    @cache
    def homes() -> dict[str, str]:
        text = Path(str(sys.modules[package].__file__)).read_text("utf-8")
        return {name: f"{package}.{module}" for module, name in _OFFER.findall(text)}

    def get(name: str) -> object:
        if name not in homes():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes()[name]), name)

    return get, lambda: sorted(homes())
