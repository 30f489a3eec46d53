"""Tar archives that depend on their content alone, made as they are read."""

from __future__ import annotations

import hashlib
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sageturner_magic.errors import ImageError
from sageturner_magic.values import SourceFile

EPOCH = 315532800
"""1980-01-01, the time of every file: the first that a zip archive can hold, because code in
an image may zip what lies beside it."""


@dataclass(frozen=True)
class Entry:
    """A file, a symbolic link or a folder in an archive.

    Attributes:
        path: With forward slashes, relative to the archive's root; a folder's ends in one.
        content: The bytes, or the file that holds them; None for a link or folder.
        executable: Whether it may be run; everybody may read it in any case.
        link: Where a symbolic link points; empty for a file.
    """

    path: str
    content: bytes | Path | None = None
    executable: bool = False
    link: str = ""

    @property
    def size(self) -> int:
        """Bytes of content. Raises OSError."""
        if isinstance(self.content, Path):
            return self.content.stat().st_size
        return len(self.content or b"")

    def chunks(self) -> Iterator[bytes]:
        """The content, in pieces. Raises OSError."""
        return iter(()) if self.content is None else SourceFile(self.path, self.content).chunks()


def header(entry: Entry, size: int) -> bytes:
    """The entry's header: owned by root, of 1980, readable by all."""
    info = tarfile.TarInfo(entry.path)
    info.mode = 0o755 if entry.executable else 0o644
    info.size, info.mtime = size, EPOCH
    if entry.link:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
    elif entry.path.endswith("/"):
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def stream(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The archive of `entries` in their order, in pieces.

    Raises OSError, and ImageError when a file changes its size while it is read.
    """
    for entry in entries:
        size = entry.size
        yield header(entry, size)
        written = 0
        for chunk in entry.chunks():
            written += len(chunk)
            yield chunk
        if written != size:
            raise ImageError(
                f"{entry.path} changed while it was read",
                why=f"it had {size} bytes and now has {written}",
                do="run it again when nothing writes to the file",
            )
        yield b"\0" * (-size % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def digest(entries: Iterable[Entry]) -> str:
    """SHA-256 (hex) over the paths, kinds and contents of `entries`."""
    whole = hashlib.sha256()
    for entry in entries:
        content = hashlib.sha256()
        for chunk in entry.chunks():
            content.update(chunk)
        whole.update(
            f"{entry.path}\0{entry.executable}\0{entry.link}\0{content.hexdigest()}\n".encode(
                errors="surrogateescape"
            )
        )
    return whole.hexdigest()


def from_disk(path: Path, name: str) -> Entry:
    """The entry for a file or link on disk, as `name`. Raises OSError."""
    if path.is_symlink():
        return Entry(name, link=str(path.readlink()))
    return Entry(name, path, executable=bool(path.stat().st_mode & stat.S_IXUSR))
