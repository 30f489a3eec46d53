"""Name the Debian package that has a shared library."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Packages that Debian does not call after their library (by Debian's search for files, release 12;
# release 13 provides the same names).
_EXCEPTIONS = {
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgio-2.0.so.0": "libglib2.0-0",
    "libgobject-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libjpeg.so.62": "libjpeg62-turbo",
    "libOpenCL.so.1": "ocl-icd-libopencl1",
    "libopenmpi.so.40": "libopenmpi3",
    "libmpi.so.40": "libopenmpi3",
    "libxml2.so.2": "libxml2",
    "libxslt.so.1": "libxslt1.1",
}
_SONAME = re.compile(r"(?P<name>lib[\w.+-]+?)\.so\.(?P<version>\d+)$")


def debian_packages(libraries: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The Debian packages that have `libraries`, and the libraries whose package is not known.

    Debian calls a package after the library in it: libXext.so.6 is in libxext6, and libX11.so.6
    in libx11-6 (Debian Policy, section 8.1).
    """
    packages: dict[str, None] = {}
    unknown: list[str] = []
    for library in libraries:
        if package := _EXCEPTIONS.get(library) or _by_policy(library):
            packages[package] = None
        else:
            unknown.append(library)
    return tuple(packages), tuple(unknown)


def _by_policy(library: str) -> str:
    match = _SONAME.fullmatch(library)
    if match is None:
        return ""
    name = match["name"].lower().replace("_", "-")
    hyphen = "-" if name[-1].isdigit() else ""
    return f"{name}{hyphen}{match['version']}"
