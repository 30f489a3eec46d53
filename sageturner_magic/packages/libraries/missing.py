"""Find the libraries that packages need and that neither they nor the base image have.

Read from the packages as they are installed here, else from their wheels. Nothing is executed.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import platform
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sageturner_magic.errors import ImageError
from sageturner_magic.packages.files import FileStore
from sageturner_magic.packages.libraries.elf import SharedObject, read_shared_object
from sageturner_magic.packages.needed import by_conda
from sageturner_magic.packages.requirements import Package, Requirements
from sageturner_magic.values import Reporter

_LARGEST_READ = 300_000_000
"""Bytes of the largest compressed library that is read."""

# What the official slim Python images have: `ldconfig -p` in python:3.12-slim, Debian 12 and 13.
_SLIM = re.compile(
    r"(?:ld-linux-.*|linux-vdso|lib(?:anl|acl|apt-.*|attr|audit|blkid|bz2|c|cap|cap-ng|com_err|crypt"
    r"|crypto|curses|db-.*|dl|e2p|expat|ext2fs|ffi|form(?:w)?|gcc_s|gcrypt|gdbm|gdbm_compat|gmp"
    r"|gnutls|gpg-error|history|hogweed|idn2|lz4|lzma|m|md|menu(?:w)?|mount|mvec|ncurses(?:w)?"
    r"|nettle|nsl|p11-kit|panel(?:w)?|pcre2-8|pthread|python3.*|readline|resolv|rt|seccomp|selinux"
    r"|smartcols|sqlite3|ssl|stdc\+\+|systemd|tasn1|thread_db|tic|tinfo|tirpc|udev|unistring|util"
    r"|uuid|xxhash|z|zstd))\.so(?:\.[\d.]+)?"
)
# What drivers bring, or back ends of which a package tries one after the other.
_OPTIONAL = re.compile(
    r"lib(?:cu|nv|nccl|hip|hsa|amd|roc|MIOpen|sycl|ze_|mlx|ibverbs|rdmacm|fabric|av|sw|postproc)"
)
_OPTIONAL_FILES = re.compile(r"/(?:tbbpool|omppool)\.|^nvidia/|/plugins/")
"""Numba goes without its thread pools, Qt loads its plugins where there is a screen, and NVIDIA's
wheels have plugins for clusters."""


@dataclass(frozen=True)
class MissingLibraries:
    """Libraries that one package needs from the system.

    Attributes:
        package: The distribution's name.
        libraries: As the loader names them: `libGL.so.1`.
        file: A file of the package that needs them.
    """

    package: str
    libraries: tuple[str, ...]
    file: str


def missing_libraries(
    requirements: Requirements, files: FileStore, reporter: Reporter, *, most_fetched: int
) -> tuple[MissingLibraries, ...]:
    """What the packages need and the official slim image does not have.

    Packages of which nothing is on this machine are passed over, unless they are fetched.

    Args:
        files: Where wheels are kept.
        most_fetched: Bytes of the largest wheel that is downloaded to look into it.
    """
    read: dict[str, Mapping[str, SharedObject]] = {}
    for package in requirements.packages:
        reporter.checkpoint()
        if not package.file.endswith("-any.whl"):
            read[package.name] = _shared_objects(
                package, requirements, files, reporter, most_fetched
            )
    there = {
        name
        for objects in read.values()
        for path, each in objects.items()
        for name in (path.rpartition("/")[2], each.name)
    }
    return tuple(
        found for name, objects in read.items() for found in _missing(name, objects, there)
    )


def _missing(
    package: str, objects: Mapping[str, SharedObject], there: Iterable[str]
) -> Iterator[MissingLibraries]:
    needed: dict[str, str] = {}
    by_name = {path.rpartition("/")[2]: path for path in objects}
    # What auditwheel has put into NAME.libs/ is loaded where something else needs it.
    waiting = [
        path for path in objects if ".libs/" not in path and not _OPTIONAL_FILES.search(path)
    ]
    while waiting:
        path = waiting.pop()
        for library in objects[path].needed:
            if library not in needed:
                needed[library] = path
                waiting += filter(None, [by_name.get(library)])
    missing = sorted(
        library
        for library in needed
        if library not in there and not _SLIM.fullmatch(library) and not _OPTIONAL.match(library)
    )
    if missing:
        yield MissingLibraries(package, tuple(missing), needed[missing[0]].rpartition("/")[2])


def _shared_objects(
    package: Package,
    requirements: Requirements,
    files: FileStore,
    reporter: Reporter,
    most_fetched: int,
) -> Mapping[str, SharedObject]:
    """The shared libraries of a package, by their paths; empty where nothing is known of it."""
    installed = _installed(package, requirements)
    if installed is not None:
        return installed
    noted = files.folder / "libraries" / f"{package.sha256}.json"
    with suppress(OSError, ValueError, TypeError):
        known = json.loads(noted.read_text(encoding="utf-8"))
        return {path: SharedObject(name, tuple(needed)) for path, (name, needed) in known.items()}
    is_small = 0 < files.known_size(package) <= most_fetched
    if not package.is_wheel or not (files.has(package) or is_small):
        return {}
    try:
        found = dict(_in_wheel(files.fetch(package, requirements.credentials, reporter)))
    except (ImageError, OSError, zipfile.BadZipFile):
        # The build says what is wrong with the file.
        return {}
    with suppress(OSError):
        noted.parent.mkdir(parents=True, exist_ok=True)
        known = {path: (each.name, each.needed) for path, each in found.items()}
        noted.write_text(json.dumps(known), encoding="utf-8")
    return found


def _installed(package: Package, requirements: Requirements) -> Mapping[str, SharedObject] | None:
    """The same version as this interpreter has it, if it is a wheel for the same platform."""
    same = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
    if sys.platform != "linux" or same != requirements.target.architecture:
        return None
    try:
        distribution = importlib.metadata.distribution(package.name)
    except importlib.metadata.PackageNotFoundError:
        return None
    if distribution.version != package.version or by_conda(distribution):
        return None
    return _libraries_of(package.name, distribution.read_text("RECORD"))


@lru_cache(maxsize=500)
def _libraries_of(name: str, record: str | None) -> Mapping[str, SharedObject]:
    """The shared libraries of an installed distribution, which has these files."""
    distribution = importlib.metadata.distribution(name)
    found: dict[str, SharedObject] = {}
    for path in distribution.files or ():
        if _is_library(str(path)):
            with suppress(OSError), Path(str(path.locate())).open("rb") as file:
                if (each := read_shared_object(file)) is not None:
                    found[str(path)] = each
    return found


def _in_wheel(wheel: Path) -> Iterator[tuple[str, SharedObject]]:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if _is_library(member.filename) and member.file_size <= _LARGEST_READ:
                found = read_shared_object(io.BytesIO(archive.read(member)))
                if found is not None:
                    yield member.filename, found


def _is_library(path: str) -> bool:
    return re.search(r"\.so(?:\.\w+)*$", path) is not None
