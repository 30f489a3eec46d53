"""Write tar archives that depend on their content alone, as a stream.

The only writer of archives: of build contexts, layers and artefacts. Identities are digests over
these bytes, so they stay the same in every version of this package.
"""

from __future__ import annotations

import hashlib
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sageturner_magic.errors import ImageError, SageturnerError
from sageturner_magic.values import SourceFile

EPOCH = 315532800
"""1980-01-01, the time of every file: the first that a zip archive can hold, because code in
an image may zip what lies beside it."""

BLOCKSIZE = tarfile.BLOCKSIZE
END = bytes(2 * BLOCKSIZE)
"""What an archive ends with."""


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
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.path.endswith("/")

    @property
    def size(self) -> int:
        """Bytes of content. Raises OSError."""
        if isinstance(self.content, Path):
            return self.content.stat().st_size
        return len(self.content or b"")

    def chunks(self) -> Iterator[bytes]:
        """The content, in pieces. Raises OSError."""
        return iter(()) if self.content is None else SourceFile(self.path, self.content).chunks()


def header(entry: Entry, size: int, mtime: int = EPOCH) -> bytes:
    """Make the header of an entry: owned by root, readable by all.

    Args:
        entry: What follows the header.
        size: Bytes of its content.
        mtime: Its time, in seconds since 1970.
    """
    info = tarfile.TarInfo(entry.path)
    info.mode = 0o755 if entry.executable else 0o644
    info.size, info.mtime = size, mtime
    if entry.link:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
    elif entry.is_folder:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def content(entry: Entry, size: int, error: type[SageturnerError] = ImageError) -> Iterator[bytes]:
    """Read the content of an entry, in pieces.

    Raises:
        OSError: The file cannot be read.
        SageturnerError: As `error`, when the content does not have `size` bytes; no more than
            these are passed on.
    """
    left = size
    for chunk in entry.chunks():
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left:
        raise error(
            f"{entry.path} changed while it was read",
            where=str(entry.content) if isinstance(entry.content, Path) else "",
            why=f"it had {size} bytes and now has {'fewer' if left > 0 else 'more'}",
            do="run it again when nothing writes to the file",
        )


def padding(size: int) -> bytes:
    """What fills the last block of a content of `size` bytes."""
    return bytes(-size % BLOCKSIZE)


def stream(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Write the archive of `entries` in their order, in pieces.

    Raises OSError, and ImageError when a file changes its size while it is read.
    """
    for entry in entries:
        size = entry.size
        yield header(entry, size)
        yield from content(entry, size)
        yield padding(size)
    yield END


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
