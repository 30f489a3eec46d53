"""Write layers as gzipped tar archives, member by member.

A gzip file may consist of several members, one after the other. Two things follow. What a
wheel holds is already compressed as a gzip member wants it, so large files go from the wheel
into the layer as they are, without being compressed again. And a layer can be put together
from pieces that were compressed before.

What is compressed here is compressed by zlib-ng, whose output does not depend on the machine.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Any

from zlib_ng import zlib_ng

from sageturner_magic import tarball
from sageturner_magic.constants import CHUNK
from sageturner_magic.errors import ImageError
from sageturner_magic.tarball import Entry

LEVEL = 6
COPIED_FROM = 16 << 10
"""Compressed bytes from which a wheel's file is copied as it is; below, a shared history with
its neighbours saves more than it costs."""

_HEADER = b"\x1f\x8b\x08\x00\0\0\0\0\x00\xff"
_LOCAL_HEADER = 30


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
        # A gzip member is open while this is not None.
        self._compressor: zlib_ng._Compress | None = None
        self._crc = 0
        self._length = 0
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
        """A file of a wheel: copied compressed where that pays. Raises ImageError."""
        entry = Entry(path, b"", executable)
        self._lead_to(path)
        self._begin(entry, member.file_size)
        if member.compress_type == zipfile.ZIP_DEFLATED and member.compress_size >= COPIED_FROM:
            self._copy(wheel, member)
        else:
            with archive.open(member) as file:
                while chunk := file.read(CHUNK):
                    self._compress(chunk)
        self._compress(tarball.padding(member.file_size))

    def add_folders(self, folders: Iterable[str]) -> None:
        """Folders, those above them first, unless they are there already."""
        for folder in sorted(folders):
            self._lead_to(folder)

    def add_piece(self, piece: IO[bytes]) -> None:
        """A piece that another writer has written; its folders come before. Raises OSError."""
        self._end_member()
        inflate = zlib_ng.decompressobj(31)
        while chunk := piece.read(CHUNK):
            self._write(chunk)
            while chunk:
                self._plain(inflate.decompress(chunk, CHUNK))
                if inflate.eof:
                    chunk, inflate = inflate.unused_data, zlib_ng.decompressobj(31)
                else:
                    chunk = inflate.unconsumed_tail

    def end_piece(self) -> Written:
        """What was written, so far that more can follow."""
        self._end_member()
        return Written(
            self._digest.hexdigest(),
            self._size,
            self._diff.hexdigest(),
            self._diff_size,
            tuple(self._files) if self._is_piece else (),
            tuple(self._folders) if self._is_piece else (),
        )

    def end_layer(self) -> Written:
        """What was written, as a whole archive."""
        self._compress(tarball.END)
        return self.end_piece()

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

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self._digest.update(data)
        self._size += len(data)

    def _compress(self, data: bytes) -> None:
        if not data:
            return
        if self._compressor is None:
            self._compressor = zlib_ng.compressobj(LEVEL, zlib_ng.DEFLATED, -15)
            self._crc, self._length = 0, 0
            self._write(_HEADER)
        self._crc = zlib_ng.crc32(data, self._crc)
        self._length += len(data)
        self._plain(data)
        self._write(self._compressor.compress(data))

    def _end_member(self) -> None:
        if self._compressor is not None:
            self._write(self._compressor.flush())
            self._write(struct.pack("<II", self._crc, self._length & 0xFFFFFFFF))
            self._compressor = None

    def _copy(self, wheel: IO[bytes], member: zipfile.ZipInfo) -> None:
        self._end_member()
        wheel.seek(member.header_offset)
        local = wheel.read(_LOCAL_HEADER)
        name_length, extra_length = struct.unpack("<HH", local[26:30])
        wheel.seek(name_length + extra_length, 1)
        self._write(_HEADER)
        inflate = zlib_ng.decompressobj(-15)
        left, length, crc = member.compress_size, 0, 0
        while left:
            chunk = wheel.read(min(left, CHUNK))
            left -= len(chunk)
            if not chunk:
                raise _damaged(member)
            self._write(chunk)
            while chunk or (left == 0 and not inflate.eof):
                if inflate.eof or length > member.file_size:
                    raise _damaged(member)
                try:
                    plain = inflate.decompress(chunk, CHUNK)
                except zlib_ng.error:  # type: ignore[misc]
                    raise _damaged(member) from None
                if not plain and not chunk:
                    raise _damaged(member)
                self._plain(plain)
                crc, length = zlib_ng.crc32(plain, crc), length + len(plain)
                if inflate.unused_data:
                    raise _damaged(member)
                chunk = inflate.unconsumed_tail
        if not inflate.eof or length != member.file_size or crc != member.CRC:
            raise _damaged(member)
        self._write(struct.pack("<II", crc, length & 0xFFFFFFFF))


def _damaged(member: zipfile.ZipInfo) -> ImageError:
    return ImageError(
        f"{member.filename} in a wheel is damaged",
        why="its content is not what the wheel's directory says",
        do="choose another version of the package",
    )
