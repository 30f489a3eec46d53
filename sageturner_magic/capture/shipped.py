"""Notice that an object of the notebook is no longer the one that an endpoint serves.

An object can be trained again in place, so it is its pickled bytes that are compared.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import time
from collections.abc import Iterable, Iterator, Mapping

from sageturner_magic.values import LiveObject

LIMIT_S = 0.2
"""An object that takes longer to write is not watched: a cell must not become slower by it."""

_PIECE, _PIECES = 65_536, 256
"""Of an array or another part that is larger than these pieces, only so many bytes are looked at.

Training changes all numbers of a model, or many; a change of single numbers may pass unseen.
"""


class _TooLongError(Exception):
    pass


class _Sum:
    """The file of a pickler: only a digest of what is written to it remains."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._until = time.monotonic() + LIMIT_S

    def write(self, data: bytes | memoryview) -> int:
        if time.monotonic() > self._until:
            raise _TooLongError
        view = memoryview(data)
        size = len(view)
        self._hash.update(str(size).encode())
        for start in range(0, size, max(size // _PIECES, _PIECE)):
            self._hash.update(view[start : start + _PIECE])
        return size

    def __str__(self) -> str:
        return self._hash.hexdigest()


def _digest(value: object) -> str:
    """A digest of the pickled `value`; empty where it cannot be had within the limits."""
    total = _Sum()
    try:
        pickle.Pickler(total, 5, buffer_callback=lambda each: total.write(each.raw()) < 0).dump(
            value
        )
    except Exception:
        return ""
    return str(total)


class Watched:
    """The objects that endpoints serve, as they were when they were deployed."""

    def __init__(self) -> None:
        self._served: dict[str, dict[str, str]] = {}
        self._told: set[tuple[str, str, str]] = set()

    def deployed(self, endpoint: str, objects: Iterable[LiveObject]) -> None:
        """Remember what `endpoint` serves now."""
        values = {
            name: value
            for each in objects
            for name, value in (
                [(name, each.value[name]) for name in each.members]  # type: ignore[index]
                or [(each.variable, each.value)]
            )
        }
        found = {name: _digest(value) for name, value in values.items()}
        self._served[endpoint] = {name: digest for name, digest in found.items() if digest}

    def ended(self, endpoint: str) -> None:
        """Forget an endpoint that was deleted."""
        self._served.pop(endpoint, None)

    def changed(self, cell: str, namespace: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """Endpoint and variable of what is another object now, each new state once.

        Args:
            cell: The source of a cell that ran: only what it names can be another, or be invoked.
        """
        for endpoint, served in self._served.items():
            is_invoked = "invoke" in cell and _names(cell, endpoint)
            for name, digest in served.items():
                if name not in namespace or not (is_invoked or _names(cell, name)):
                    continue
                now = _digest(namespace[name])
                if now in ("", digest) or ((endpoint, name, now) in self._told and not is_invoked):
                    continue
                self._told.add((endpoint, name, now))
                yield endpoint, name


def _names(cell: str, name: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", cell) is not None
