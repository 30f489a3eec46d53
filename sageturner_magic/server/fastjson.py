"""orjson where there is one: the user's own, otherwise the server's."""

from __future__ import annotations

import sys
from typing import Any

module: Any = None
"""The orjson module, or None: then the standard library's json does the work."""


def find(packages: str) -> None:
    """Import orjson, from the folder `packages` where the interpreter itself has none.

    The folder is on sys.path for this import only: nothing else of it may reach user code.
    """
    global module
    try:
        import orjson

        module = orjson
    except ImportError:
        if packages and packages not in sys.path:
            sys.path.append(packages)
            try:
                find("")
            finally:
                sys.path.remove(packages)
