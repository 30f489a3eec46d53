"""A page of shared memory that a worker writes and the front reads.

A worker that is killed, or that hangs in a C call, cannot say any more what it was doing. It
counts the requests that it takes from its socket here, before it runs them: requests up to
that number were running or done when it ended; later ones can run in another worker. The
other way, the front names the running request that nobody wants any more, before it signals.
"""

from __future__ import annotations

import mmap
import os
import struct
from bisect import bisect_left

BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Upper bounds of the batch sizes that are counted apart."""

_COUNT = struct.Struct("@Q")
_TAKEN_AT = 0
_UNWANTED_AT = 64
_BATCHES_AT = 128
SIZE = mmap.PAGESIZE


def create() -> int:
    """A file descriptor of a new page, all zero, without a name in any file system."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("sageturner-page")
    else:
        import tempfile

        file, name = tempfile.mkstemp(prefix="sageturner-page-")
        os.unlink(name)  # noqa: PTH108 - the worker starts faster without pathlib
        descriptor = file
    os.ftruncate(descriptor, SIZE)
    return descriptor


class Page:
    """The page behind `descriptor`, which may be closed afterwards."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, SIZE)

    @property
    def taken(self) -> int:
        """Requests that the worker has taken from its socket since it started."""
        count: int = _COUNT.unpack_from(self._memory, _TAKEN_AT)[0]
        return count

    @taken.setter
    def taken(self, count: int) -> None:
        _COUNT.pack_into(self._memory, _TAKEN_AT, count)

    @property
    def unwanted(self) -> int:
        """The number of the request that the front wants interrupted."""
        number: int = _COUNT.unpack_from(self._memory, _UNWANTED_AT)[0]
        return number

    @unwanted.setter
    def unwanted(self, number: int) -> None:
        _COUNT.pack_into(self._memory, _UNWANTED_AT, number)

    def count_batch(self, size: int) -> None:
        """A call of predict_batch got `size` requests."""
        self._increase(_BATCHES_AT, size)
        self._increase(_BATCHES_AT + 8 * (1 + bisect_left(BATCH_BOUNDS, size)), 1)

    def batches(self) -> tuple[list[int], int]:
        """How many batches had which size, by BATCH_BOUNDS, and all their requests."""
        total, *counts = struct.unpack_from(f"@{2 + len(BATCH_BOUNDS)}Q", self._memory, _BATCHES_AT)
        return counts, total

    def _increase(self, place: int, by: int) -> None:
        _COUNT.pack_into(self._memory, place, _COUNT.unpack_from(self._memory, place)[0] + by)

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
