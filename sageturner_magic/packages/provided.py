"""Find imports that no package of an image provides, before the image is built."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from sageturner_magic.errors import ImageError
from sageturner_magic.packages.files import FileStore
from sageturner_magic.packages.needed import imports_in, providers
from sageturner_magic.packages.requirements import Package, Requirements
from sageturner_magic.values import CapturedModule, Reporter, SourceFile

_MOST_FETCHED = 10_000_000
"""Bytes of the largest wheel that is downloaded to see which modules it has."""
_OF_THE_IMAGE = frozenset({"pip", "setuptools", "pkg_resources", "_distutils_hack", "wheel"})
_NEWER = frozenset({"tomllib", "annotationlib", "compression"})
"""Modules of the standard library that this Python may not have yet."""


@dataclass(frozen=True)
class Unprovided:
    """An import that fails in the image.

    Attributes:
        module: The top-level module.
        where: The cell's line, or the file's.
        always: It runs whenever sageturner.py is imported.
        package: The distribution that has it here, with its version; empty if none has.
    """

    module: str
    where: str
    always: bool
    package: str


def unprovided(
    module: CapturedModule, requirements: Requirements, files: FileStore, reporter: Reporter
) -> tuple[Unprovided, ...]:
    """Imports of `module` that no package of `requirements` has; empty where it is not certain.

    Packages that are not installed here are looked into, if their wheels are small or were fetched
    before.
    """
    installed = providers()
    names = {canonicalize_name(each.name) for each in requirements.packages}
    found: dict[str, Unprovided] = {}
    for each in _imports(module):
        having = installed.get(each.module, [])
        is_listed = names & {canonicalize_name(name) for name in (each.module, *having)}
        if not is_listed and (each.module not in found or each.always):
            found[each.module] = each
    if not found:
        return ()
    here = {canonicalize_name(name) for each in installed.values() for name in each}
    for package in requirements.packages:
        if canonicalize_name(package.name) not in here:
            tops = _modules_of(package, requirements, files, reporter)
            if tops is None:
                return ()
            found = {name: each for name, each in found.items() if name not in tops}
    return tuple(sorted(found.values(), key=lambda each: each.where))


def _imports(module: CapturedModule) -> Iterator[Unprovided]:
    installed = providers()
    known = sys.stdlib_module_names | _NEWER | _OF_THE_IMAGE
    wanted = set(module.imports) - known
    for file in module.files:
        if not wanted or not file.path.endswith(".py"):
            continue
        try:
            tree = ast.parse(b"".join(file.chunks()))
        except (SyntaxError, ValueError):
            continue
        for each in imports_in(tree):
            top = each.module.partition(".")[0]
            if top in wanted and not each.optional:
                always = file is module.files[0] and not each.later
                package = _pinned(installed.get(top, []))
                yield Unprovided(top, _place(module, file, each.line), always, package)


def _pinned(names: list[str]) -> str:
    return f"{names[0]}=={importlib.metadata.version(names[0])}" if names else ""


def _place(module: CapturedModule, file: SourceFile, line: int) -> str:
    if file is module.files[0] and line in module.lines:
        return str(module.lines[line])
    return f"{file.path if isinstance(file.content, bytes) else file.content}:{line}"


def _modules_of(
    package: Package, requirements: Requirements, files: FileStore, reporter: Reporter
) -> set[str] | None:
    """The top-level modules of a wheel; None where it is not here and large."""
    is_small = 0 < files.known_size(package) <= _MOST_FETCHED
    if not package.is_wheel or not (files.has(package) or is_small):
        return None
    try:
        wheel = files.fetch(package, requirements.credentials, reporter)
        with zipfile.ZipFile(wheel) as archive:
            paths = archive.namelist()
    except (ImageError, OSError, zipfile.BadZipFile):
        return None
    # Some of a wheel may lie in NAME.data/purelib/.
    inside = (path.split("/", 2)[2] if ".data/" in path else path for path in paths)
    return {path.partition("/")[0].partition(".")[0] for path in inside}
