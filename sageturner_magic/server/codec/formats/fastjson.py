"""Load orjson: the user's own, otherwise the server's."""

from __future__ import annotations

import re
import sys
from typing import Any

OLDEST = (3, 10, 12)
"""The oldest orjson that is used: older ones write wrong numbers for some arrays of NumPy and
end the process on some of its dates. The same bound is in this package's own dependencies."""

module: Any = None
"""The orjson module, or None: then the standard library's json does the work."""


def find(packages: str) -> None:
    """Import orjson, from the folder `packages` where the interpreter itself has none.

    The folder is on sys.path for this import only: nothing else of it may reach user code. An
    orjson of the user's that is older than `OLDEST` is left alone.
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
        if _version(orjson) >= OLDEST:
            module = orjson


def _version(package: Any) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", getattr(package, "__version__", ""))[:3]))
