"""Find the extras of a distribution that the imported modules need."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FILES = 40
"""Modules of one distribution that are read at most, those that the code names first."""


def extras_of(
    name: str, imported: Iterable[str], installed: Mapping[str, Sequence[str]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The extras of distribution `name`, and the distributions that they stand for.

    No installer writes down which extras were asked for. But where the modules that the code
    imports need a package that only an extra requires, that extra is needed.

    Args:
        imported: Dotted names of modules of the distribution.
        installed: Import name -> distributions that have it.
    """
    always, extras = _required(importlib.metadata.distribution(name))
    if not extras:
        return (), ()
    chosen: dict[str, str] = {}
    for package in sorted(_needed_by(imported)):
        for provider in installed.get(package, ()):
            wanted = canonicalize_name(provider)
            offering = [extra for extra, needs in extras.items() if wanted in needs]
            if wanted not in always and offering:
                # The narrowest: `all` and `dev` hold it too.
                best = min(offering, key=lambda extra: (len(extras[extra]), extra))
                chosen[provider] = best
    return tuple(sorted(set(chosen.values()))), tuple(sorted(chosen))


def _required(
    distribution: importlib.metadata.Distribution,
) -> tuple[set[str], dict[str, set[str]]]:
    """What it requires in any case, and for each of its extras."""
    always: set[str] = set()
    extras: dict[str, set[str]] = {}
    declared = distribution.metadata.get_all("Provides-Extra") or []
    for text in distribution.requires or ():
        needed = Requirement(text)
        name = canonicalize_name(needed.name)
        if needed.marker is None or needed.marker.evaluate({"extra": ""}):
            always.add(name)
            continue
        for extra in declared:
            if needed.marker.evaluate({"extra": extra}):
                extras.setdefault(extra, set()).add(name)
    return always, extras


def _needed_by(imported: Iterable[str]) -> set[str]:
    """Top-level packages that importing the modules `imported` imports in any case."""
    found: set[str] = set()
    waiting = [part for dotted in imported for part in _parts(dotted)]
    seen: set[str] = set()
    while waiting and len(seen) < FILES:
        dotted = waiting.pop(0)
        path = None if dotted in seen else _file(dotted)
        if path is None:
            continue
        seen.add(dotted)
        package = dotted.partition(".")[0]
        for other in _imports(path, dotted):
            top = other.partition(".")[0]
            if top == package:
                waiting += _parts(other)
            elif top not in sys.stdlib_module_names:
                found.add(top)
    return found


def _parts(dotted: str) -> list[str]:
    """The modules that importing `dotted` runs; not the package itself, which needs no extra."""
    parts = dotted.split(".")
    return [".".join(parts[:count]) for count in range(2, len(parts) + 1)]


def _file(dotted: str) -> Path | None:
    """The source of a module, found without importing anything."""
    top, *rest = dotted.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place, *rest)
        for path in (folder / "__init__.py", folder.with_suffix(".py")):
            if path.is_file():
                return path
    return None


def _imports(path: Path, dotted: str) -> tuple[str, ...]:
    try:
        state = path.stat()
    except OSError:
        return ()
    return _read_imports(path, dotted, (state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=10 * FILES)
def _read_imports(path: Path, dotted: str, state: tuple[int, int]) -> tuple[str, ...]:
    """The imports of the file as it is in this `state`."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()
    return tuple(_imported(tree, path, dotted))


def _imported(tree: ast.Module, path: Path, dotted: str) -> Iterator[str]:
    package = dotted if path.name == "__init__.py" else dotted.rpartition(".")[0]
    for node in _always(tree.body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                above = parts[: len(parts) - node.level + 1]
                base = ".".join([*above, *filter(None, [base])])
            yield base
            # What is taken may be a module of its own.
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _always(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run whenever the module is imported, or it fails."""
    for node in body:
        if isinstance(node, ast.Try):
            # A handler that raises says in other words that the import is needed.
            if all(any(isinstance(each, ast.Raise) for each in h.body) for h in node.handlers):
                yield from _always(node.body)
            yield from _always(node.finalbody)
        elif isinstance(node, ast.With):
            yield from _always(node.body)
        else:
            yield node
