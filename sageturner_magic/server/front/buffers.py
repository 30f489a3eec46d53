"""Limit the bytes of request bodies, and of unread answers, that the front holds at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from ..problems import Problem
from . import clock

LARGEST_BODIES = 10
"""Bodies of the largest size that are held at once, where memory allows it."""

SHARE_OF_MEMORY = 4
"""The part of memory (one in so many) that bodies take at most; a worker has a copy of what it
was sent, and the rest is the model's."""

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class Reader(Protocol):
    """A connection whose client has not read all of its answers.

    Attributes:
        unsent: Bytes that it has not taken.
    """

    @property
    def unsent(self) -> int: ...

    def abort(self) -> None:
        """Cut the connection."""


class Buffers:
    """Counts the bytes of bodies that are being received, wait, or run, and of unread answers.

    Args:
        limit: Bytes of each at most.

    Attributes:
        held: Bytes now.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        # What each slow client had still to read, and when it last took something of it.
        self._unread: dict[Reader, tuple[int, float]] = {}

    def check(self, size: int) -> None:
        """Raises Problem (429) where `size` more bytes have no room now."""
        if self.held + size > self.limit:
            message = (
                f"the requests under way hold {self.held:,} of {self.limit:,} bytes (it follows "
                "from serving.max_body_mb and the memory); send this one again"
            )
            raise Problem(429, "Overloaded", message)

    def unread(self, reader: Reader) -> None:
        """An answer was written that the client of `reader` does not take at once.

        Where all such answers exceed the limit, the clients that have taken nothing for longest
        are cut off, but never this one.
        """
        self._unread.setdefault(reader, (reader.unsent, clock.now()))
        while len(self._unread) > 1 and sum(each.unsent for each in self._unread) > self.limit:
            for each in self._unread:
                self.progress(each)
            others = [each for each in self._unread if each is not reader]
            slowest = min(others, key=lambda each: self._unread[each][1])
            del self._unread[slowest]
            slowest.abort()

    def read(self, reader: Reader) -> None:
        """The client of `reader` has read what it was sent, or has left."""
        self._unread.pop(reader, None)

    def progress(self, reader: Reader) -> bool:
        """Whether the client of `reader` has taken anything since the last call."""
        before, since = self._unread.get(reader, (0, 0.0))
        now = reader.unsent
        taken = now < before
        self._unread[reader] = (now, clock.now() if taken else since)
        return taken


def limit(max_body: int) -> int:
    """Bytes of bodies to hold at most, so that one of `max_body` bytes always has room."""
    return max(max_body, min(LARGEST_BODIES * max_body, _memory() // SHARE_OF_MEMORY))


def _memory() -> int:
    # A container's limit, v2 or v1 of cgroups, is below what the machine has.
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in _LIMITS:
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdecimal():  # Otherwise it is `max`.
            found.append(int(text))
    return min(found)
