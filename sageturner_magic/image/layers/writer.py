"""Write layers as gzipped tar archives, also from pieces that were compressed before.

A layer is one gzip member: nobody promises that Lambda's unpacker, which serverless endpoints use,
reads several. A piece is deflated data that ends at a full flush, so that pieces and what is
compressed between them follow one another in one stream (RFC 1951; zlib's manual, Z_FULL_FLUSH).

Large files of a wheel are deflated already and are copied. What is compressed here is compressed by
zlib-ng, whose output does not depend on the machine.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from zlib_ng import zlib_ng

from sageturner_magic import tarball
from sageturner_magic.constants import CHUNK
from sageturner_magic.errors import ImageError
from sageturner_magic.image.layers.deflated import (
    MOST_INFLATED,
    TAIL,
    continued,
    deflated,
    new_decoder,
)
from sageturner_magic.tarball import Entry

LEVEL = 6
COPIED_FROM = 96 << 10
"""Compressed bytes from which a wheel's file is copied. Below, compressing it again takes less time
than finding its last block."""

_HEADER = b"\x1f\x8b\x08\x00\0\0\0\0\x00\xff"


@dataclass(frozen=True)
class Written:
    """What a writer has written.

    Attributes:
        digest: SHA-256 (hex) of the compressed bytes.
        size: Compressed bytes.
        diff_id: SHA-256 (hex) of the archive itself.
        diff_size: Bytes of the archive.
        files: What a piece holds; empty for a layer.
        folders: What leads to a piece's files and has to come before it; empty for a layer.
    """

    digest: str
    size: int
    diff_id: str
    diff_size: int
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> Written:
        """From what `dataclasses.asdict` made. Raises TypeError and KeyError."""
        lists = {name: tuple(read[name]) for name in ("files", "folders")}
        return cls(**{**read, **lists})


class LayerWriter:
    """Writes an archive, or a piece of one, to a file.

    An engine refuses a layer that has a path twice, so a piece leaves its folders to the layer
    that it will be part of.
    """

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._digest = hashlib.sha256()
        self._size = 0
        self._diff = hashlib.sha256()
        self._diff_size = 0
        self._compressor = zlib_ng.compressobj(LEVEL, zlib_ng.DEFLATED, -15)
        self._crc = 0
        self._files: list[str] = []
        self._folders: dict[str, None] = {}
        self._is_piece = False

    def begin_piece(self) -> None:
        """Write a piece: folders are noted and not written."""
        self._is_piece = True

    def add(self, entry: Entry) -> None:
        """A file or link, after the folders that lead to it. Raises OSError."""
        self._lead_to(entry.path)
        size = entry.size
        self._begin(entry, size)
        for chunk in tarball.content(entry, size):
            self._compress(chunk)
        self._compress(tarball.padding(size))

    def add_member(
        self, path: str, executable: bool, wheel: IO[bytes], archive: zipfile.ZipFile,
        member: zipfile.ZipInfo,
    ) -> None:  # fmt: skip
        """A file of a wheel. Raises ImageError."""
        self._lead_to(path)
        self._begin(Entry(path, b"", executable), member.file_size)
        large = member.compress_size >= COPIED_FROM
        if not (large and member.compress_type == zipfile.ZIP_DEFLATED):
            for chunk in _content(archive, member):
                self._compress(chunk)
        elif not self._copy(wheel, member):
            for chunk in _content(archive, member):
                self._squeeze(chunk)
        self._compress(tarball.padding(member.file_size))

    def add_folders(self, folders: Iterable[str]) -> None:
        """Folders, those above them first, unless they are there already."""
        for folder in sorted(folders):
            self._lead_to(folder)

    def add_piece(self, piece: IO[bytes]) -> None:
        """A piece that another writer has written; its folders come before. Raises OSError."""
        self._flush()
        inflate = zlib_ng.decompressobj(-15)
        while chunk := piece.read(CHUNK):
            self._write(chunk)
            while chunk:
                self._plain(inflate.decompress(chunk, CHUNK))
                chunk = inflate.unconsumed_tail
        self._plain(inflate.flush())

    def end_piece(self) -> Written:
        """What was written, so far that more can follow."""
        self._flush()
        return self._written()

    def end_layer(self) -> Written:
        """What was written, as a whole archive."""
        self._compress(tarball.END)
        self._write(self._compressor.flush())
        self._write(struct.pack("<II", self._crc, self._diff_size & 0xFFFFFFFF))
        return self._written()

    def _written(self) -> Written:
        return Written(
            self._digest.hexdigest(),
            self._size,
            self._diff.hexdigest(),
            self._diff_size,
            tuple(self._files) if self._is_piece else (),
            tuple(self._folders) if self._is_piece else (),
        )

    def _lead_to(self, path: str) -> None:
        """The folders above `path`: without them an engine would make them as it likes."""
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth]) + "/"
            if folder not in self._folders:
                self._folders[folder] = None
                if not self._is_piece:
                    self._compress(tarball.header(Entry(folder), 0))

    def _begin(self, entry: Entry, size: int) -> None:
        self._files.append(entry.path)
        self._compress(tarball.header(entry, size))

    def _plain(self, data: bytes) -> None:
        self._diff.update(data)
        self._diff_size += len(data)
        self._crc = zlib_ng.crc32(data, self._crc)

    def _write(self, data: bytes) -> None:
        if self._size == 0 and not self._is_piece:
            data = _HEADER + data
        self._out.write(data)
        self._digest.update(data)
        self._size += len(data)

    def _compress(self, data: bytes) -> None:
        self._plain(data)
        self._squeeze(data)

    def _squeeze(self, data: bytes) -> None:
        if compressed := self._compressor.compress(data):
            self._write(compressed)

    def _flush(self) -> None:
        """End at a byte, and refer to nothing before it from now on."""
        self._write(self._compressor.flush(zlib_ng.Z_FULL_FLUSH))

    def _copy(self, wheel: IO[bytes], member: zipfile.ZipInfo) -> bool:
        """Copy deflated data; where it cannot continue, only its content counts as written."""
        self._flush()
        before = (self._out.tell(), self._size, self._digest.copy())
        inflate = new_decoder()
        tail, length, crc = b"", 0, 0

        def plain(data: bytes, most: int = CHUNK) -> bytes:
            nonlocal length, crc
            try:
                found = inflate.decompress(data, most)
            except zlib_ng.error:  # type: ignore[misc]
                raise _damaged(member) from None
            length, crc = length + len(found), zlib_ng.crc32(found, crc)
            if length > member.file_size:
                raise _damaged(member)
            self._plain(found)
            return found

        for chunk in deflated(wheel, member):
            tail += chunk
            head, tail = tail[:-TAIL], tail[-TAIL:]
            self._write(head)
            while head:
                plain(head)
                head = inflate.unconsumed_tail
        at_tail, found = inflate.copy(), plain(tail, TAIL * MOST_INFLATED)
        if (
            not inflate.eof
            or inflate.unused_data
            or (length, crc) != (member.file_size, member.CRC)
        ):
            raise _damaged(member)
        if end := continued(tail, at_tail, found):
            self._write(end)
            return True
        position, self._size, self._digest = before
        self._out.seek(position)
        self._out.truncate()
        return False


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """What a file of a wheel holds. Raises ImageError."""
    try:
        with archive.open(member) as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise _damaged(member) from None


def _damaged(member: zipfile.ZipInfo) -> ImageError:
    return ImageError(
        f"{member.filename} in a wheel is damaged",
        why="its content is not what the wheel's directory says",
        do="choose another version of the package",
        code="ST65",
    )
