"""orjson where there is one: the user's own, otherwise the server's."""

from __future__ import annotations

import sys
from typing import Any

NEEDED = ("loads", "dumps", "OPT_SERIALIZE_NUMPY", "OPT_NON_STR_KEYS")

module: Any = None
"""The orjson module, or None: then the standard library's json does the work."""


def find(packages: str) -> None:
    """Import orjson, from the folder `packages` where the interpreter itself has none.

    The folder is on sys.path for this import only: nothing else of it may reach user code. An
    orjson of the user's that is too old to do what is needed is left alone.
    """
    global module
    try:
        import orjson
    except ImportError:
        if packages and packages not in sys.path:
            sys.path.append(packages)
            try:
                find("")
            finally:
                sys.path.remove(packages)
    else:
        if all(hasattr(orjson, name) for name in NEEDED):
            module = orjson
