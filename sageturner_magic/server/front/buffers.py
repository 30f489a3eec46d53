"""Limit the bytes of request bodies that the front holds at once."""

from __future__ import annotations

import os
from pathlib import Path

from ..problems import Problem

LARGEST_BODIES = 10
"""Bodies of the largest size that are held at once, where memory allows it."""

SHARE_OF_MEMORY = 4
"""The part of memory (one in so many) that bodies take at most; a worker has a copy of what it
was sent, and the rest is the model's."""

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class Buffers:
    """Counts the bytes of bodies that are being received, wait, or run.

    Args:
        limit: Bytes at most.

    Attributes:
        held: Bytes now.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def check(self, size: int) -> None:
        """Raises Problem (429) where `size` more bytes have no room now."""
        if self.held + size > self.limit:
            message = (
                f"the requests under way hold {self.held:,} of {self.limit:,} bytes (it follows "
                "from serving.max_body_mb and the memory); send this one again"
            )
            raise Problem(429, "Overloaded", message)


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
