"""Find the installed distribution that an imported name comes from."""

from __future__ import annotations

import contextlib
import csv
import functools
import importlib.metadata
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit


def providers() -> dict[str, list[str]]:
    """Top-level import name -> the distributions that have it.

    As `importlib.metadata.packages_distributions`, which before Python 3.11 sees only those with
    a top_level.txt, and never what an editable install points to. A folder of `sys.path` is read
    again when something was installed there or removed since.
    """
    found: dict[str, set[str]] = {}
    for entry in dict.fromkeys(Path(entry).absolute() for entry in sys.path):
        with contextlib.suppress(OSError):
            for name, tops, project in _installed(entry, _state(entry)):
                for top in (*tops, *(_packages_in(project) if project else ())):
                    found.setdefault(top, set()).add(name)
    return {top: sorted(names) for top, names in found.items()}


def direct_url(distribution: importlib.metadata.Distribution) -> dict[str, object]:
    """What was installed instead of a release: see PEP 610. Empty for a release."""
    text = distribution.read_text("direct_url.json")
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


def by_conda(distribution: importlib.metadata.Distribution) -> bool:
    """Whether conda installed it."""
    return (distribution.read_text("INSTALLER") or "").strip() == "conda"


def conda_package(module: str, prefix: Path) -> str:
    """The conda package of the environment `prefix` that brought a top-level module, if one did."""
    inside = re.compile(rf"(?:^|/)site-packages/{re.escape(module)}(?:/|\.[^/]*$)")
    for record in sorted(prefix.glob("conda-meta/*.json")):
        found = json.loads(record.read_text(encoding="utf-8"))
        if any(inside.search(file) for file in found.get("files", ())):
            return str(found.get("name", record.stem))
    return ""


def local_path(url: str) -> Path | None:
    """The path of a `file:` URL."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _state(entry: Path) -> frozenset[tuple[Path, int]]:
    """The times of a folder (or an archive) and of the records of what is installed in it."""
    records = [*entry.glob("*.dist-info"), *entry.glob("*.egg-info")]
    return frozenset((each, each.stat().st_mtime_ns) for each in (entry, *records))


@functools.lru_cache(maxsize=128)
def _installed(
    entry: Path, _: frozenset[tuple[Path, int]]
) -> tuple[tuple[str, frozenset[str], Path | None], ...]:
    """Name, top-level modules and editable project of each distribution in a `sys.path` entry."""
    return tuple(
        (name, frozenset(_top_levels(distribution)), _editable_project(distribution))
        for distribution in importlib.metadata.distributions(path=[str(entry)])
        # What is left of a removed package has no name.
        if (name := distribution.metadata["Name"])
    )


def _top_levels(distribution: importlib.metadata.Distribution) -> Iterator[str]:
    if listed := (distribution.read_text("top_level.txt") or "").split():
        yield from listed
        return
    # `files` makes an object of each line, most of the time that this takes.
    record = distribution.read_text("RECORD")
    files = (
        (row[0] for row in csv.reader(record.splitlines()) if row)
        if record
        else map(str, distribution.files or ())
    )
    for file in files:
        if top := _import_name(file):
            yield top


def _editable_project(distribution: importlib.metadata.Distribution) -> Path | None:
    direct = direct_url(distribution)
    details = direct.get("dir_info")
    if isinstance(details, dict) and details.get("editable"):
        return local_path(str(direct.get("url", "")))
    return None


def _import_name(file: str) -> str:
    top, inside, _ = file.partition("/")
    if not inside:
        return top.partition(".")[0] if top.endswith((".py", ".so", ".pyd")) else ""
    return top if top.isidentifier() and top != "__pycache__" else ""


def _packages_in(project: Path) -> Iterator[str]:
    for folder in (project, project / "src"):
        for path in folder.glob("*/__init__.py"):
            yield path.parent.name
    for path in (project / "src").glob("*.py"):
        yield path.stem
