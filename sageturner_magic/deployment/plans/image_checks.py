"""Find modules and system libraries that an image will not have, before it is built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from sageturner_magic.deployment.plans.images import WantedImage
from sageturner_magic.errors import Finding
from sageturner_magic.image import BuildSpec, ChosenBuilder, Spec, image_tag
from sageturner_magic.packages import FileStore, default_folder, unprovided
from sageturner_magic.packages.libraries import (
    MissingLibraries,
    debian_packages,
    missing_libraries,
)
from sageturner_magic.values import Reporter

_FETCHED = 80_000_000
"""Bytes of the largest wheel that is fetched at plan, where the builder fetches it later anyway."""

_OFFICIAL = re.compile(r"(?:^|/)python:\d\.\d+(?:\.\d+)?(?:-slim)?(?:-(?:bookworm|trixie))?$")
_SLIM = re.compile(r"(?:^|/)python:\d\.\d+(?:\.\d+)?-slim(?:-(?:bookworm|trixie))?$")

# What the official Python images without `-slim` have: they can compile (docker-library's
# buildpack-deps, with gcc and the headers of GLib, ImageMagick and PostgreSQL).
_IN_FULL_IMAGE = re.compile(
    r"lib(?:cairo2|curl4|fontconfig1|freetype6|glib2\.0-0|gomp1|ice6|jpeg62-turbo|magic1|png16-16"
    r"|pq5|sm6|webp7|x11-6|xcb1|xext6|xml2|xrender1|xslt1\.1|yaml-0-2)"
)

_INSTEAD = {
    "opencv-python": "opencv-python-headless",
    "opencv-contrib-python": "opencv-contrib-python-headless",
}
"""Package -> one that does the same without a screen and its libraries."""


_INSTALLED = {"lightgbm": ("libgomp.so.1", "libgomp1")}
"""Package -> a library that none of its wheels brings, and the Debian package that has it.

Its documentation names it among what has to be installed first.
"""


def with_system_packages(wanted: WantedImage, chosen: ChosenBuilder) -> WantedImage:
    """Let an engine install what a package is known to need beside its wheel, and say so."""
    spec = wanted.spec
    if not isinstance(spec, BuildSpec) or not chosen.builder.needs_engine:
        return wanted
    if not _SLIM.search(spec.base):
        return wanted
    listed = {text.partition("=")[0] for text in spec.system_packages}
    installed, notes = [], []
    for package in spec.requirements.packages:
        library, debian = _INSTALLED.get(package.name, ("", ""))
        if debian and debian not in listed:
            installed.append(debian)
            notes.append(
                Finding(
                    f"The image gets the system package `{debian}`",
                    why=f"`{package.name}` needs {library}, which the base image does not have",
                    severity="note",
                )
            )
    if not installed:
        return wanted
    spec = replace(spec, system_packages=(*spec.system_packages, *installed))
    found = (*wanted.findings, *notes)
    return replace(wanted, spec=spec, tag=image_tag(spec), findings=found)


def image_findings(spec: Spec, chosen: ChosenBuilder, reporter: Reporter) -> Iterator[Finding]:
    """What code and packages need and the image of `spec` will not have.

    Only the official Python images are known; of other base images nothing is said.
    """
    if isinstance(spec, BuildSpec) and _OFFICIAL.search(spec.base):
        yield from _modules(spec, reporter)
        if _SLIM.search(spec.base):
            yield from _libraries(spec, chosen, reporter)


def _modules(spec: BuildSpec, reporter: Reporter) -> Iterator[Finding]:
    """Imports that no package provides: an error if sageturner.py cannot be imported without."""
    files = FileStore(default_folder())
    for each in unprovided(spec.module, spec.requirements, files, reporter):
        yield Finding(
            f"No package of the image has `{each.module}`",
            where=each.where,
            why="the code imports it, and `python_packages` lists nothing that brings it",
            do=f"add `{each.package}` to `python_packages`"
            if each.package
            else f"add the package that has `{each.module}` to `python_packages`",
            severity="error" if each.always else "warning",
            code="ST61",
        )


def _libraries(spec: BuildSpec, chosen: ChosenBuilder, reporter: Reporter) -> Iterator[Finding]:
    fetched = 0 if chosen.builder.needs_engine else _FETCHED
    files = FileStore(default_folder())
    for each in missing_libraries(spec.requirements, files, reporter, most_fetched=fetched):
        packages, unknown = debian_packages(each.libraries)
        listed = {text.partition("=")[0] for text in spec.system_packages}
        # What the user lists may bring others that it depends on.
        if listed and (listed & set(packages) or not packages):
            continue
        yield Finding(
            f"`{each.package}` needs {_and(each.libraries)}, which the base image does not have",
            why=f"{each.file} is linked to {'it' if len(each.libraries) == 1 else 'them'}",
            where="container.generate_container.system_packages",
            do=_remedy(each, packages, unknown, spec, chosen),
            severity="warning",
            code="ST18",
        )


def _remedy(
    missing: MissingLibraries,
    packages: tuple[str, ...],
    unknown: tuple[str, ...],
    spec: BuildSpec,
    chosen: ChosenBuilder,
) -> str:
    instead = _INSTEAD.get(missing.package)
    remedies = [f"list `{instead}` in place of `{missing.package}`"] if instead else []
    names = [*packages, *(f"the Debian package that has {each}" for each in unknown)]
    listed = ", ".join([*spec.system_packages, *packages])
    installs = f"add `system_packages: [{listed}]` below `container: generate_container:`"
    if unknown or not packages:
        installs = f"add {_and(names)} to `container.generate_container.system_packages`"
    if chosen.builder.needs_engine:
        return ", or ".join([*remedies, installs])
    if not unknown and all(map(_IN_FULL_IMAGE.fullmatch, packages)):
        full = _SLIM.sub(lambda match: match[0].partition("-slim")[0], spec.base)
        remedies.append(f"write `base_image: {full}`, which has {_and(packages)}")
    remedies.append(
        f"{installs} and build where a Docker engine answers, as `builder: layers` installs none"
    )
    return ", or ".join(remedies)


def _and(names: tuple[str, ...] | list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
