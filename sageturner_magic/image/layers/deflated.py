"""Make deflated data that has ended continue, so that a layer takes a wheel's files as they are.

A deflate stream marks its last block in that block's first bit (RFC 1951, 3.2.3). With the mark
cleared, and an empty stored block that fills the last byte, more data can follow. No stream says
where its last block begins. A decoder shows it: it returns nothing while it reads the code lengths
that a block begins with (3.2.7). Of the bits there, only the mark can change without changing the
decoded data, and that is checked: what this module returns has been decoded and compared.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from typing import IO, Protocol, cast

from zlib_ng import zlib_ng

from sageturner_magic.constants import CHUNK

TAIL = 64 << 10
"""Bytes at the end of a stream in which its last block is looked for. Those of zlib are shorter:
they hold 16,383 symbols."""

MOST_INFLATED = 1032
"""Bytes that one deflated byte can give at most (zlib's technical details)."""

_STEP = 24
"""Bytes given to the decoder at once. Code lengths take more than twice as many in large files."""

_LOCAL_HEADER = 30
_EMPTY_BLOCK = b"\0\0\xff\xff"  # Stored; its three bits of header are zeros before it.
_LAST_BLOCK = b"\x03\0"  # Nothing, with fixed codes.


class Decoder(Protocol):
    """A decompression object, as the standard library documents it."""

    eof: bool
    unused_data: bytes
    unconsumed_tail: bytes

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes:
        """Decode `data`. Raises zlib_ng.error."""

    def copy(self) -> Decoder:
        """One that has read the same."""


def new_decoder() -> Decoder:
    """Return a decoder of deflated data without a header."""
    # Its stubs leave out `copy`.
    return cast("Decoder", zlib_ng.decompressobj(-15))


def deflated(wheel: IO[bytes], member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Read a file of a wheel as it is stored; a truncated wheel gives less. Raises OSError."""
    wheel.seek(member.header_offset + _LOCAL_HEADER - 4)
    name_and_extra = wheel.read(4)
    if len(name_and_extra) == 4:
        wheel.seek(sum(struct.unpack("<HH", name_and_extra)), 1)
        left = member.compress_size
        while left and (chunk := wheel.read(min(left, CHUNK))):
            left -= len(chunk)
            yield chunk


def continued(tail: bytes, decoder: Decoder, plain: bytes) -> bytes | None:
    """Change the end of a deflate stream so that a block can follow.

    Args:
        tail: The end of the stream.
        decoder: One that has read what comes before; it stays as it is.
        plain: What `tail` decodes to.

    Returns:
        Deflated data that gives `plain` and ends with a byte; None if the last block is not found.
    """
    start = _before_last_block(tail, decoder.copy())
    decoder = decoder.copy()
    plain = plain[len(decoder.decompress(tail[:start])) :]
    end = bytearray(tail[start:])
    bits = int.from_bytes(end[: 2 * _STEP], "little")
    for bit in range(8 * (_STEP + 3)):
        if (bits >> bit) & 0b111 == 0b101:  # The last block, with code lengths of its own.
            end[bit >> 3] ^= 1 << (bit & 7)
            for fill in (b"", b"\0"):
                if _gives(decoder.copy(), (bytes(end), fill, _EMPTY_BLOCK, _LAST_BLOCK), plain):
                    return b"".join((tail[:start], end, fill, _EMPTY_BLOCK))
            end[bit >> 3] ^= 1 << (bit & 7)
    return None


def _before_last_block(tail: bytes, decoder: Decoder) -> int:
    """A place at most `_STEP` bytes before the code lengths of the last block that has them."""
    found, silent = 0, True
    for at in range(0, len(tail) - _STEP + 1, _STEP):
        was_silent, silent = silent, not decoder.decompress(tail[at : at + _STEP])
        if silent and not was_silent:
            found = at - _STEP
    return found


def _gives(decoder: Decoder, data: tuple[bytes, ...], plain: bytes) -> bool:
    """Whether `decoder` reads `plain` from `data`, and there ends."""
    try:
        begin = decoder.decompress(data[0][:1024])
        if not plain.startswith(begin):
            return False
        rest = decoder.decompress(data[0][1024:] + b"".join(data[1:]))
    except zlib_ng.error:  # type: ignore[misc]
        return False
    return begin + rest == plain and decoder.eof and not decoder.unused_data
