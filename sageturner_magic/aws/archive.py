"""A folder as `model.tar.gz`, packed as a stream: the same bytes for the same content.

Links are followed, because a link in the archive breaks the creation of an endpoint. Nothing is
written to disk and no more than a chunk is held in memory.
"""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sageturner_magic.errors import ArtefactError
from sageturner_magic.values import CHUNK

_SAMPLE = 4 << 20
_WORTHWHILE = 0.9


@dataclass(frozen=True)
class Entry:
    """A file or folder to pack.

    Attributes:
        name: Relative to the folder, with forward slashes.
        path: Where it is, links resolved.
        size: Bytes; 0 for a folder.
        is_folder: Whether it is one.
        executable: Whether its owner may execute it.
    """

    name: str
    path: Path
    size: int
    is_folder: bool
    executable: bool


def entries(folder: Path) -> Iterator[Entry]:
    """What lies in `folder`, sorted by name, links followed.

    Raises:
        ArtefactError: A link that leads nowhere or back to a folder it lies in, or something
            that is neither a file nor a folder.
    """
    yield from _walk(folder, "", frozenset({folder.resolve()}))


def pack(folder: Path) -> Iterator[tuple[bytes, int]]:
    """`folder` as a gzipped tar: pieces, each with the bytes of files read for it.

    Owners, times and permissions other than the executable bit are left out, so the pieces depend
    on names and contents alone. Content that hardly compresses (weights) is stored, which is
    several times as fast.

    Raises:
        ArtefactError: As `entries`; a file that changes while it is read, or cannot be read.
    """
    found = list(entries(folder))
    # wbits 31: gzip's frame, with no time and no name in its header.
    squeeze = zlib.compressobj(level=_level(found), wbits=31)
    size = 0
    for data, read in _tar(found):
        size += len(data)
        yield squeeze.compress(data), read
    # tar's end: two empty blocks, and then up to a whole record.
    yield squeeze.compress(bytes(2 * tarfile.BLOCKSIZE + -(size + 1024) % tarfile.RECORDSIZE)), 0
    yield squeeze.flush(), 0


def _walk(folder: Path, prefix: str, above: frozenset[Path]) -> Iterator[Entry]:
    for child in sorted(folder.iterdir(), key=lambda path: path.name):
        name = prefix + child.name
        if child.is_dir():
            real = child.resolve()
            if real in above:
                raise ArtefactError(
                    f"The link {name} leads back to a folder that it lies in",
                    where=str(child),
                    do="remove the link",
                )
            yield Entry(name, real, 0, True, True)
            yield from _walk(child, name + "/", above | {real})
        elif child.is_file():
            status = child.stat()
            yield Entry(name, child, status.st_size, False, bool(status.st_mode & 0o100))
        else:
            raise ArtefactError(
                f"{name} is neither a file nor a folder",
                where=str(child),
                why="it is a link that leads nowhere" if child.is_symlink() else "",
                do="remove it",
            )


def _tar(found: list[Entry]) -> Iterator[tuple[bytes, int]]:
    for entry in found:
        info = tarfile.TarInfo(entry.name)
        info.size = entry.size
        info.type = tarfile.DIRTYPE if entry.is_folder else tarfile.REGTYPE
        info.mode = 0o755 if entry.executable else 0o644
        yield info.tobuf(tarfile.PAX_FORMAT), 0
        if not entry.is_folder:
            yield from _content(entry)
            yield bytes(-entry.size % tarfile.BLOCKSIZE), 0


def _content(entry: Entry) -> Iterator[tuple[bytes, int]]:
    left = entry.size
    try:
        with entry.path.open("rb") as file:
            while left and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk, len(chunk)
            changed = bool(left or file.read(1))
    except OSError as error:
        raise ArtefactError(
            f"{entry.name} cannot be read", where=str(entry.path), why=error.strerror or str(error)
        ) from error
    if changed:
        raise ArtefactError(
            f"{entry.name} changed while it was packed",
            where=str(entry.path),
            do="deploy again when nothing writes to it any more",
        )


def _level(found: list[Entry]) -> int:
    """zlib's level for this content: 0 where compressing saves less than a tenth."""
    files = [entry for entry in found if not entry.is_folder]
    largest = max(files, key=lambda entry: (entry.size, entry.name), default=None)
    if largest is None or largest.size < _SAMPLE:
        return 1
    with largest.path.open("rb") as file:
        file.seek((largest.size - _SAMPLE) // 2, os.SEEK_SET)
        sample = file.read(_SAMPLE)
    return 1 if len(zlib.compress(sample, 1)) < _WORTHWHILE * len(sample) else 0
