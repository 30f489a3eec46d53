"""Extract an untrusted archive safely."""

from __future__ import annotations

import gzip
import lzma
import os
import posixpath
import shlex
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import IO

from sageturner_magic.constants import CHUNK, FOLDERS_DEEP
from sageturner_magic.errors import ArtefactError, Finding
from sageturner_magic.text import clip
from sageturner_magic.values import Reporter

MOST_BYTES = 64 << 30
"""Bytes that an archive may unpack to: what SageMaker's largest default volumes hold twice."""

MOST_RATIO = 200
"""Unpacked by packed bytes. Model weights reach about 10, zeros 1,000: that is a bomb."""

_SMALL = 1 << 30
"""Below this many unpacked bytes the ratio says nothing: sparse arrays do compress well."""

MOST_MEMBERS = 200_000
"""Members of an archive, and files that its links may become."""

_DAMAGE = (
    *(tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile),
    UnicodeError,
)

_MOST_LINKS = 40
"""Links on the way to one file, as many as Linux follows."""


def unpack(archive: Path, folder: Path, reporter: Reporter) -> None:
    """Unpack a .tar.gz into `folder`, which must be new or empty.

    Links that stay inside become copies of what they lead to.

    Raises:
        ArtefactError: The archive is broken or empty, or members would be written outside
            `folder`, are devices, or unpack to far more than they are; every such member is named.
    """
    try:
        with tarfile.open(archive, "r:*") as tar:
            members = _checked(archive, tar)
            _read_to_the_end(tar)
            _extract(archive, tar, members, folder, reporter)
    except _DAMAGE as error:
        raise ArtefactError(
            "The archive cannot be read",
            where=str(archive),
            why=str(error) or type(error).__name__,
            do=f"test it with `tar -tf {shlex.quote(str(archive))}`, and download it again or make"
            " it again with `tar -czf model.tar.gz -C FOLDER .`",
            code="ST56",
        ) from error
    except OSError as error:
        if isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
            raise ArtefactError(
                "Two members of the archive want the same place",
                where=str(archive),
                why=str(error),
                do="make it again from a folder: `tar -czf model.tar.gz -C FOLDER .`",
                code="ST56",
            ) from error
        raise ArtefactError(
            "The archive cannot be unpacked",
            where=str(archive),
            why=str(error),
            do="see the cause",
            code="ST56",
        ) from error


def _checked(archive: Path, tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """Members by the normal form of their paths. Raises ArtefactError naming all unsafe ones."""
    members: dict[str, tarfile.TarInfo] = {}
    findings: list[Finding] = []
    total = 0
    packed = max(1, archive.stat().st_size)
    for count, member in enumerate(tar, 1):
        total += member.size
        if count > MOST_MEMBERS:
            raise _bomb(archive, f"it has more than {MOST_MEMBERS} members")
        if total > MOST_BYTES:
            raise _bomb(archive, f"it unpacks to more than {MOST_BYTES >> 30} GiB")
        if total > _SMALL and total / packed > MOST_RATIO:
            raise _bomb(archive, f"it unpacks to more than {MOST_RATIO} times its size")
        problem = _problem(member)
        if problem:
            findings.append(
                Finding(
                    f"The archive's member `{_printable(member.name)}` {problem}",
                    where=str(archive),
                    do="make the archive from inside the model's folder:"
                    " `tar -czf model.tar.gz -C FOLDER .`",
                    code="ST56",
                )
            )
        else:
            members[_normal(member.name)] = member
    members.pop(".", None)
    if findings:
        raise ArtefactError.of(findings)
    if not members:
        raise ArtefactError(
            "The archive is empty",
            where=str(archive),
            do="put the files that load() reads into it",
            code="ST51",
        )
    return members


def _read_to_the_end(tar: tarfile.TarFile) -> None:
    """Read what follows the last member. Raises tarfile.ReadError and what the format raises.

    tarfile takes a damaged header for the end of the archive, and a compressed file's checksum is
    compared only when the file is read to its end.
    """
    file = tar.fileobj
    assert file is not None
    file.seek(tar.offset)
    header = file.read(tarfile.BLOCKSIZE)
    while file.read(CHUNK):
        pass
    if header.strip(b"\0"):
        raise tarfile.ReadError(f"there is no header at byte {tar.offset} of the unpacked archive")
    if not header and type(file).__module__ in ("_io", "io"):
        raise tarfile.ReadError("its end is missing")


def _bomb(archive: Path, why: str) -> ArtefactError:
    return ArtefactError(
        "The archive is refused",
        where=str(archive),
        why=why,
        do="unpack it yourself and give the folder as `artefact`, if it is what you expect",
        code="ST56",
    )


def _printable(name: str) -> str:
    return clip(name, 100).encode("unicode_escape").decode("ascii")


def _normal(name: str) -> str:
    return posixpath.normpath(name)


def _leads_out(path: str) -> bool:
    normal = _normal(path)
    return normal == ".." or normal.startswith("../") or posixpath.isabs(path)


def _problem(member: tarfile.TarInfo) -> str:
    name = member.name
    if name.count("/") > FOLDERS_DEEP:
        return f"lies {name.count('/'):,} folders deep"
    if _normal(name) == "." and not member.isdir():
        return "is a file in the folder's own place"
    if posixpath.isabs(name) or name[1:3] in (":\\", ":/"):
        return "has an absolute path"
    if "\\" in name and ".." in name.replace("\\", "/").split("/"):
        return "leads out of the folder"
    if "\0" in name:
        return "has a null character in its name"
    if _leads_out(name) or ".." in name.split("/"):
        return "leads out of the folder"
    if member.issym():
        target = posixpath.join(posixpath.dirname(name), member.linkname)
        if posixpath.isabs(member.linkname) or _leads_out(target):
            return f"is a link that leads out of the folder (to `{_printable(member.linkname)}`)"
    elif member.islnk():
        if _leads_out(member.linkname):
            return f"is a link that leads out of the folder (to `{_printable(member.linkname)}`)"
    elif not (member.isreg() or member.isdir()):
        return "is a device or a pipe, not a file"
    return ""


def _extract(
    archive: Path,
    tar: tarfile.TarFile,
    members: dict[str, tarfile.TarInfo],
    folder: Path,
    reporter: Reporter,
) -> None:
    total = sum(member.size for member in members.values() if member.isreg())
    done = 0
    folder.mkdir(parents=True, exist_ok=True)
    # No link is ever made, so nothing that is written can lead anywhere else.
    for path, member in members.items():
        target = folder / path
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
        elif member.isreg():
            source = tar.extractfile(member)
            if source is None:
                raise tarfile.ReadError(f"{member.name} has no content")
            target.parent.mkdir(parents=True, exist_ok=True)
            with source, target.open("xb") as out:
                done = _copy(source, out, done, total, reporter)
    _copy_links(archive, members, folder)


def _copy(source: IO[bytes], out: IO[bytes], done: int, total: int, reporter: Reporter) -> int:
    while chunk := source.read(CHUNK):
        reporter.checkpoint()
        out.write(chunk)
        done += len(chunk)
        reporter.progress(done, total, "B")
    return done


def _copy_links(archive: Path, members: dict[str, tarfile.TarInfo], folder: Path) -> None:
    """Put copies of what the links lead to in their places."""
    waiting = {path: _final(path, members) for path, each in members.items() if _is_link(each)}
    copied = 0
    while waiting:
        # What a link leads to is complete when no link that is still waiting lies in it.
        ready = [
            path
            for path, target in waiting.items()
            if target is not None and not any(_inside(other, target) for other in waiting)
        ]
        if not ready or any(not (folder / str(waiting[path])).exists() for path in ready):
            names = ", ".join(f"`{_printable(path)}`" for path in ready or sorted(waiting))
            raise ArtefactError(
                f"Links of the archive lead nowhere or in a circle: {names}",
                where=str(archive),
                do="make the archive with `tar --dereference`",
                code="ST56",
            )
        for path in ready:
            copied += _place_copy(folder / str(waiting.pop(path)), folder / path)
            if copied > MOST_MEMBERS:
                raise _bomb(archive, f"its links unpack to more than {MOST_MEMBERS} files")


def _is_link(member: tarfile.TarInfo) -> bool:
    return member.issym() or member.islnk()


def _inside(path: str, folder: str) -> bool:
    return folder == "." or path == folder or path.startswith(f"{folder}/")


def _place_copy(source: Path, place: Path) -> int:
    """Copy a file or a folder without its bytes where the disk can; returns how many files."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        place.mkdir()
        return 1 + sum(_place_copy(each, place / each.name) for each in sorted(source.iterdir()))
    try:
        os.link(source, place)
    except OSError:
        shutil.copyfile(source, place)
    return 1


def _final(path: str, members: dict[str, tarfile.TarInfo]) -> str | None:
    """The path that a chain of links ends at, or None for a circle or a way out."""
    for _ in range(_MOST_LINKS):
        # A link may stand anywhere on the way: `weights -> v2`, `current/weights`.
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            prefix = "/".join(parts[:depth])
            member = members.get(prefix)
            if member is None or not _is_link(member):
                continue
            where = posixpath.dirname(prefix) if member.issym() else ""
            path = _normal(posixpath.join(where, member.linkname, *parts[depth:]))
            if path.startswith("..") or posixpath.isabs(path):
                return None
            break
        else:
            return path
    return None
