"""Compile modules for an image. An interpreter of the image's version runs this text.

Reads `path length, source length, path, source` from standard input (32 bit, big endian) and
answers `length, bytecode` for each; length 0 means that the source does not compile.
"""

import importlib.util
import marshal
import struct
import sys
import warnings

# From format 3 on, what is shared is marked as such; before Python 3.11 also what other code of
# this process happens to share, and the same source gave other bytes in other company.
MARSHAL_FORMAT = marshal.version if sys.version_info >= (3, 11) else 2


def compiled(path: str, source: bytes) -> bytes:
    """The content of the .pyc file for `source`, which will lie at `path`."""
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return b""
    # PEP 552: by hash, and not to be checked, because an image does not change.
    flags = struct.pack("<I", 0b01)
    return (
        importlib.util.MAGIC_NUMBER
        + flags
        + importlib.util.source_hash(source)
        + marshal.dumps(code, MARSHAL_FORMAT)
    )


def main() -> None:
    """Answer until the input ends."""
    warnings.simplefilter("ignore")
    read, write = sys.stdin.buffer.read, sys.stdout.buffer.write
    while len(lengths := read(8)) == 8:
        path_length, source_length = struct.unpack(">II", lengths)
        path = read(path_length).decode("utf-8", "surrogateescape")
        bytecode = compiled(path, read(source_length))
        write(struct.pack(">I", len(bytecode)) + bytecode)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
