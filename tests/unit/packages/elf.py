"""Make shared libraries that a loader would understand as far as their needs go."""

from __future__ import annotations

import struct


def elf(*needed: str, name: str = "") -> bytes:
    """A 64-bit ELF file with one segment and a dynamic section."""
    strings = b"\0"
    places = []
    for text in (*needed, name):
        places.append(len(strings))
        strings += text.encode() + b"\0"
    address, start = 0x400000, 64 + 2 * 56
    tags = [(1, place) for place in places[:-1]]
    tags += [(14, places[-1])] if name else []
    size = 16 * (len(tags) + 3)
    tags += [(5, address + start + size), (10, len(strings)), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *tag) for tag in tags)
    whole = start + size + len(strings)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    loaded = struct.pack("<IIQQQQQQ", 1, 5, 0, address, address, whole, whole, 4096)
    place = address + start
    described = struct.pack("<IIQQQQQQ", 2, 4, start, place, place, size, size, 8)
    return header + loaded + described + dynamic + strings
