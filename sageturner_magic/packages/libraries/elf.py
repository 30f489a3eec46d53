"""Read which shared libraries an ELF file needs.

The format has not changed since 1999 (System V ABI, chapters 4 and 5), and images are 64-bit and
little-endian on both architectures. A library (pyelftools) would bring 6,000 lines for three tags.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

_MAGIC = b"\x7fELF\x02\x01"
"""ELF, 64-bit, little-endian."""
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_LOADED, _DYNAMIC = 1, 2
_NEEDED, _STRINGS, _STRINGS_SIZE, _NAME = 1, 5, 10, 14


@dataclass(frozen=True)
class SharedObject:
    """What the loader reads of a shared library.

    Attributes:
        name: Its SONAME; empty if it has none.
        needed: Names of the libraries that the loader loads with it.
    """

    name: str
    needed: tuple[str, ...]


def read_shared_object(file: BinaryIO) -> SharedObject | None:
    """The dynamic section of an ELF file; None for any other file, or a damaged one."""
    header = file.read(64)
    if not header.startswith(_MAGIC):
        return None
    try:
        (offset,) = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        file.seek(offset)
        table = file.read(size * count)
        # Type, flags, offset in the file, address, physical address, size in the file, …
        segments = [_PROGRAM_HEADER.unpack_from(table, size * each) for each in range(count)]
        dynamic = next(each for each in segments if each[0] == _DYNAMIC)
        file.seek(dynamic[2])
        section = file.read(dynamic[5] - dynamic[5] % 16)
        tags = list(struct.iter_unpack("<qQ", section))
        values = dict(tags)
        start = values[_STRINGS]
        home = next(each for each in segments if each[0] == _LOADED and _is_in(start, each))
        file.seek(start - home[3] + home[2])
        strings = file.read(values[_STRINGS_SIZE])
    except (struct.error, StopIteration, KeyError):
        return None

    def text(position: int) -> str:
        return strings[position : strings.find(b"\0", position)].decode("utf-8", "replace")

    name = text(values[_NAME]) if _NAME in values else ""
    return SharedObject(name, tuple(text(value) for tag, value in tags if tag == _NEEDED))


def _is_in(address: int, segment: tuple[int, ...]) -> bool:
    return segment[3] <= address < segment[3] + segment[5]
