"""Build wheels for pure Python packages that have none for the target."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from sageturner_magic.errors import Finding, ImageError
from sageturner_magic.packages import machine
from sageturner_magic.packages.files import FileStore
from sageturner_magic.packages.pip_arguments import PipArguments
from sageturner_magic.packages.requirements import Package, Requirements
from sageturner_magic.packages.source_builds import SourceBuilder, public_indexes, sha256
from sageturner_magic.packages.urls import Location
from sageturner_magic.values import Reporter


def with_wheels(requirements: Requirements, files: FileStore, reporter: Reporter) -> Requirements:
    """`requirements` with a wheel in the place of every source distribution.

    They are built once each, on this machine, in an environment of their own. Raises ImageError
    with a finding for each that cannot be built, or whose wheel is for this machine only.
    """
    if all(package.is_wheel for package in requirements.packages):
        return requirements
    packages, findings = [], []
    for package in requirements.packages:
        try:
            packages.append(
                package if package.is_wheel else _built(package, requirements, files, reporter)
            )
        except ImageError as error:
            target = requirements.target
            cause = error.findings[0]
            findings.append(
                Finding(
                    f"{package.name} {package.version} has no wheel for {target.platform} and"
                    f" Python {target.python_version}",
                    why=f"{cause.what}: {cause.why}",
                    do="choose a version that has one, or set `builder: docker`",
                    where="python_packages",
                    details=cause.details,
                    code="ST64",
                )
            )
    if findings:
        raise ImageError.of(findings)
    return replace(requirements, packages=tuple(packages))


def _built(
    package: Package, requirements: Requirements, files: FileStore, reporter: Reporter
) -> Package:
    store = files.folder / "built"
    noted = store / f"{package.sha256}.json"
    wheel = _remembered(noted)
    if wheel is None:
        source = files.fetch(package, requirements.credentials, reporter)
        settings = machine.pip_configuration()
        asked = PipArguments(
            index=Location(requirements.index) if requirements.index else None,
            extra_indexes=tuple(map(Location, requirements.extra_indexes)),
        )
        indexes = public_indexes(machine.with_machine_settings(asked, settings, os.environ))
        builder = SourceBuilder(store, machine.resolver_environment(settings), reporter)
        wheel = builder.build(source, indexes)
        with tempfile.NamedTemporaryFile("w", dir=store, delete=False) as file:
            json.dump({"wheel": str(wheel)}, file)
        Path(file.name).replace(noted)
    return replace(package, url=wheel.as_uri(), sha256=sha256(wheel), public=False, size=0)


def _remembered(noted: Path) -> Path | None:
    try:
        wheel = Path(json.loads(noted.read_text())["wheel"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # It lies in a folder named by its digest.
    return wheel if wheel.is_file() and sha256(wheel) == wheel.parent.name else None
