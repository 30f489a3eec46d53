"""Read from a wheel's zip file what its installation would write.

The result is pip's, by the wheel specification
(packaging.python.org/en/latest/specifications/binary-distribution-format), apart from
bytecode and from the notes that an installer leaves about itself.
"""

from __future__ import annotations

import base64
import configparser
import csv
import hashlib
import io
import posixpath
import stat
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

from sageturner_magic.constants import CHUNK, FOLDERS_DEEP
from sageturner_magic.errors import ImageError
from sageturner_magic.text import clip

MAX_RATIO = 200
"""Bytes that one byte of a wheel may unpack to. Real wheels stay below 60; deflate's limit,
which only a bomb comes near, is 1032."""

MAX_FREE_SIZE = 64 << 20
"""Bytes up to which `MAX_RATIO` is not asked for: a file of zeros in a test's data is fine."""

_SCRIPT = """\
#!{python}
# -*- coding: utf-8 -*-
import re
import sys
from {module} import {name}
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit({function}())
"""
"""pip's own (distlib's) for an entry point."""


@dataclass(frozen=True)
class Layout:
    """Where an installation's parts lie in an image, without a leading slash.

    Attributes:
        site: site-packages.
        prefix: What data files are relative to; empty where only modules are installed.
        python: The interpreter's path, for the first line of scripts.
        python_version: Major and minor.
    """

    site: str
    prefix: str
    python: str
    python_version: str

    @classmethod
    def environment(cls, prefix: str, python_version: str) -> Layout:
        """A virtual environment at `prefix`."""
        return cls(
            site=f"{prefix}/lib/python{python_version}/site-packages",
            prefix=prefix,
            python=f"/{prefix}/bin/python",
            python_version=python_version,
        )

    @classmethod
    def modules_only(cls, folder: str, python_version: str) -> Layout:
        """A folder that is put on `sys.path`, without scripts and data."""
        return cls(site=folder, prefix="", python="", python_version=python_version)


@dataclass(frozen=True)
class Installed:
    """One file of an installation.

    Attributes:
        path: In the image, without a leading slash.
        executable: Whether it may be run.
        member: The wheel's entry that it is a copy of, or None.
        content: The bytes, where it is not a copy.
    """

    path: str
    executable: bool
    member: zipfile.ZipInfo | None = None
    content: bytes = b""


def installed(wheel: Path, archive: zipfile.ZipFile, layout: Layout) -> Iterator[Installed]:
    """The files that installing `wheel` makes, sorted by path; RECORD is the last.

    Raises ImageError for a wheel that is damaged or that would write outside its places.
    """
    members = _checked(wheel, archive)
    metadata = _metadata_folder(wheel, members)
    data = metadata.removesuffix(".dist-info") + ".data/"
    files: dict[str, Installed] = {}

    own = {f"{layout.prefix}/{name}" for name in _own_files(layout)} if layout.prefix else set()

    def add(file: Installed) -> None:
        if file.path.endswith("/"):
            raise _hostile(wheel, f"{file.path} is a file in a folder's place")
        if file.path in own:
            raise _hostile(wheel, f"{file.path} belongs to the environment")
        if file.path in files:
            raise _hostile(wheel, f"{file.path} would be written twice")
        files[file.path] = file

    record = f"{layout.site}/{metadata}/RECORD"
    for name, member in members.items():
        if name.startswith(data):
            if found := _of_scheme(wheel, archive, layout, name[len(data) :], member):
                add(found)
        elif f"{layout.site}/{name}" not in (record, f"{record}.jws", f"{record}.p7s"):
            add(Installed(f"{layout.site}/{name}", _is_executable(member), member))
    if layout.prefix and f"{metadata}/entry_points.txt" in members:
        text = archive.read(members[f"{metadata}/entry_points.txt"]).decode("utf-8")
        for script, source in _entry_points(wheel, text, layout).items():
            # A console script replaces a file of that name, as with pip.
            path = f"{layout.prefix}/bin/{script}"
            files.pop(path, None)
            add(Installed(path, executable=True, content=source))
    add(Installed(f"{layout.site}/{metadata}/INSTALLER", False, content=b"sageturner-magic\n"))
    for path in files:
        for folder in _above(path):
            if folder in files or folder in own:
                raise _hostile(wheel, f"{folder} is a file, and {path} lies in it")
    ordered = [files[path] for path in sorted(files)]
    yield from ordered
    yield Installed(record, False, content=_record(archive, ordered, record, layout))


def _above(path: str) -> Iterator[str]:
    """The folders that a path lies in."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _own_files(layout: Layout) -> tuple[str, ...]:
    """What makes a virtual environment one, relative to its prefix."""
    return ("pyvenv.cfg", "bin/python", "bin/python3", f"bin/python{layout.python_version}")


def _checked(wheel: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files of a wheel by name, after seeing that each stays in its place."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename
        kind = stat.S_IFMT(member.external_attr >> 16)
        if member.is_dir():
            continue
        if (
            name.startswith("/")
            or "\\" in name
            or "\0" in name
            or ":" in name.partition("/")[0]
            or posixpath.normpath(name) != name
            or name == "."
            or ".." in name.split("/")
        ):
            raise _hostile(wheel, f"the path {clip(name, 100)!r} leads out of its folder")
        if name.count("/") > FOLDERS_DEEP:
            deep = f"is {name.count('/'):,} folders deep"
            raise _hostile(wheel, f"the path {clip(name, 100)!r} {deep}")
        if kind not in (0, stat.S_IFREG):
            raise _hostile(wheel, f"{name} is a link or a special file")
        if name in members:
            raise _hostile(wheel, f"{name} is in it twice")
        if member.flag_bits & 0x1:
            raise _hostile(wheel, f"{name} is encrypted")
        if member.file_size > MAX_FREE_SIZE and member.file_size > MAX_RATIO * max(
            member.compress_size, 1
        ):
            raise _hostile(wheel, f"{name} unpacks to {member.file_size} bytes, like a bomb")
        members[name] = member
    return members


def _hostile(wheel: Path, why: str) -> ImageError:
    return ImageError(
        f"{wheel.name} is not installed",
        why=why,
        do="choose another version of it, and tell its authors",
        code="ST65",
    )


def _metadata_folder(wheel: Path, members: Mapping[str, zipfile.ZipInfo]) -> str:
    name, version, _, _ = parse_wheel_filename(wheel.name)
    folders = {path.partition("/")[0] for path in members if path.count("/") == 1}
    for folder in sorted(folders):
        found, dash, _ = folder.removesuffix(".dist-info").partition("-")
        if folder.endswith(".dist-info") and dash and canonicalize_name(found) == name:
            if f"{folder}/WHEEL" not in members or f"{folder}/METADATA" not in members:
                break
            return folder
    raise ImageError(
        f"{wheel.name} is not a wheel",
        why=f"it has no metadata of {name} {version}",
        do="choose another version of it",
        code="ST65",
    )


def _is_executable(member: zipfile.ZipInfo) -> bool:
    return bool((member.external_attr >> 16) & 0o111)


def _of_scheme(
    wheel: Path,
    archive: zipfile.ZipFile,
    layout: Layout,
    inside: str,
    member: zipfile.ZipInfo,
) -> Installed | None:
    """A file of the wheel's `.data` folder; None where the layout has no place for it."""
    scheme, _, path = inside.partition("/")
    executable = _is_executable(member)
    if scheme in ("purelib", "platlib"):
        return Installed(f"{layout.site}/{path}", executable, member)
    if scheme not in ("scripts", "data", "headers"):
        raise _hostile(wheel, f"it has files of the unknown kind {scheme!r}")
    if not layout.prefix:
        return None
    if scheme == "data":
        return Installed(f"{layout.prefix}/{path}", executable, member)
    if scheme == "headers":
        name = parse_wheel_filename(wheel.name)[0]
        folder = f"{layout.prefix}/include/site/python{layout.python_version}/{name}"
        return Installed(f"{folder}/{path}", executable, member)
    target = f"{layout.prefix}/bin/{path}"
    with archive.open(member) as file:
        first = file.readline(4096)
        if first.startswith(b"#!python"):
            rest = file.read()
            return Installed(target, True, content=b"#!" + layout.python.encode() + b"\n" + rest)
    return Installed(target, True, member)


def _entry_points(wheel: Path, text: str, layout: Layout) -> dict[str, bytes]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise _hostile(wheel, f"its entry points cannot be read ({error})") from None
    scripts = {}
    for section in ("console_scripts", "gui_scripts"):
        for name, value in parser.items(section) if parser.has_section(section) else ():
            module, colon, function = value.partition("[")[0].strip().partition(":")
            module, function = module.strip(), function.strip()
            if not colon or "/" in name or name in ("", ".", ".."):
                raise _hostile(wheel, f"its entry point {name!r} is not one")
            dotted = [*module.split("."), *function.split(".")]
            if not all(part.isidentifier() for part in dotted):
                raise _hostile(wheel, f"its entry point {name!r} is not one")
            scripts[name] = _SCRIPT.format(
                python=layout.python,
                module=module,
                name=function.partition(".")[0],
                function=function,
            ).encode()
    return scripts


def _record(archive: zipfile.ZipFile, files: list[Installed], record: str, layout: Layout) -> bytes:
    """RECORD for the installation: hashes from the wheel's own, paths from site-packages."""
    known = _hashes(archive)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for file in files:
        path = posixpath.relpath(file.path, layout.site)
        if file.member is not None and file.member.filename in known:
            digest = known[file.member.filename]
            size = file.member.file_size
        elif file.member is not None:
            digest, size = _digest_of(archive, file.member), file.member.file_size
        else:
            digest, size = _digest(hashlib.sha256(file.content)), len(file.content)
        writer.writerow((path, digest, size))
    writer.writerow((posixpath.relpath(record, layout.site), "", ""))
    return text.getvalue().encode()


def _hashes(archive: zipfile.ZipFile) -> dict[str, str]:
    names = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
    rows = csv.reader(io.StringIO(archive.read(names[0]).decode("utf-8"))) if names else ()
    return {row[0]: row[1] for row in rows if len(row) >= 2 and row[1].startswith("sha256=")}


def _digest_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str:
    """For a wheel whose own RECORD leaves a file out."""
    digest = hashlib.sha256()
    with archive.open(member) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return _digest(digest)


def _digest(digest: hashlib._Hash) -> str:
    return f"sha256={base64.urlsafe_b64encode(digest.digest()).rstrip(b'=').decode()}"
