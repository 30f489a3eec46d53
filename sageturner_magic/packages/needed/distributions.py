"""Find the installed distribution that an imported name comes from."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit


def providers() -> dict[str, list[str]]:
    """Top-level import name -> the distributions that have it.

    As `importlib.metadata.packages_distributions`, which before Python 3.11 sees only those with
    a top_level.txt, and never what an editable install points to. Reads the file list of every
    distribution: call it once.
    """
    found: dict[str, set[str]] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if not name:
            # What is left of a removed package.
            continue
        for top in _top_levels(distribution):
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


def _top_levels(distribution: importlib.metadata.Distribution) -> Iterator[str]:
    listed = (distribution.read_text("top_level.txt") or "").split()
    if listed:
        yield from listed
    else:
        for file in distribution.files or ():
            top = _import_name(PurePosixPath(str(file)))
            if top:
                yield top
    direct = direct_url(distribution)
    details = direct.get("dir_info")
    if isinstance(details, dict) and details.get("editable"):
        project = local_path(str(direct.get("url", "")))
        if project is not None:
            yield from _packages_in(project)


def _import_name(path: PurePosixPath) -> str:
    top = path.parts[0]
    if len(path.parts) == 1:
        return top.partition(".")[0] if path.suffix in (".py", ".so", ".pyd") else ""
    return top if top.isidentifier() and top != "__pycache__" else ""


def _packages_in(project: Path) -> Iterator[str]:
    for folder in (project, project / "src"):
        for path in folder.glob("*/__init__.py"):
            yield path.parent.name
    for path in (project / "src").glob("*.py"):
        yield path.stem
