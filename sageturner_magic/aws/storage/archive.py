"""Pack a folder as `model.tar.gz`, streamed: the same bytes for the same content.

Links are followed, because a link in the archive breaks the creation of an endpoint. Nothing is
written to disk and no more than a chunk is held in memory.
"""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from sageturner_magic import tarball
from sageturner_magic.errors import ArtefactError
from sageturner_magic.tarball import Entry

_SAMPLE = 4 << 20
_WORTHWHILE = 0.9


def entries(folder: Path) -> Iterator[Entry]:
    """List what lies in `folder`, sorted by name, links followed.

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
    found = [(entry, entry.size) for entry in entries(folder)]
    # wbits 31: gzip's frame, with no time and no name in its header.
    squeeze = zlib.compressobj(level=_level(found), wbits=31)
    size = 0
    for entry, length in found:
        header, padding = tarball.header(entry, length, mtime=0), tarball.padding(length)
        size += len(header) + length + len(padding)
        yield squeeze.compress(header), 0
        for chunk in _content(entry, length):
            yield squeeze.compress(chunk), len(chunk)
        yield squeeze.compress(padding), 0
    size += len(tarball.END)
    # Other writers of tar fill the last record too.
    yield squeeze.compress(tarball.END + bytes(-size % tarfile.RECORDSIZE)), 0
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
                    code="ST58",
                )
            yield Entry(f"{name}/")
            yield from _walk(child, name + "/", above | {real})
        elif child.is_file():
            yield Entry(name, child, executable=bool(child.stat().st_mode & 0o100))
        else:
            raise ArtefactError(
                f"{name} is neither a file nor a folder",
                where=str(child),
                why="it is a link that leads nowhere" if child.is_symlink() else "",
                do="remove it",
                code="ST58",
            )


def _content(entry: Entry, size: int) -> Iterator[bytes]:
    try:
        yield from tarball.content(entry, size, ArtefactError)
    except OSError as error:
        raise ArtefactError(
            f"{entry.path} cannot be read",
            where=str(entry.content),
            why=error.strerror or str(error),
            code="ST58",
        ) from error


def _level(found: list[tuple[Entry, int]]) -> int:
    """zlib's level for this content: 0 where compressing saves less than a tenth."""
    sizes = ((size, entry.path, entry.content) for entry, size in found if not entry.is_folder)
    size, _, path = max(sizes, default=(0, "", None))
    if size < _SAMPLE or not isinstance(path, Path):
        return 1
    with path.open("rb") as file:
        file.seek((size - _SAMPLE) // 2, os.SEEK_SET)
        sample = file.read(_SAMPLE)
    return 1 if len(zlib.compress(sample, 1)) < _WORTHWHILE * len(sample) else 0
