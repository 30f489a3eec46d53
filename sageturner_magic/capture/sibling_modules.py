"""Find imported modules that no distribution installs, such as files beside the notebook."""

from __future__ import annotations

import ast
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sageturner_magic.capture.secrets import file_findings, secret_findings
from sageturner_magic.capture.slicing import definition_is
from sageturner_magic.capture.syntax import FUNCTIONS
from sageturner_magic.errors import Finding
from sageturner_magic.packages.needed import imported_names, providers
from sageturner_magic.values import SourceFile


@dataclass
class LocalModules:
    """What is copied beside sageturner.py.

    Attributes:
        names: Top-level names that are local.
        packages: Top-level names that the local code imports and that are not.
        files: The files, by their paths in the program folder.
        findings: Why something of it cannot be shipped, warnings and notes.
    """

    names: set[str] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)
    files: dict[str, SourceFile] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def local_modules(packages: Iterable[str]) -> LocalModules:
    """Which of `packages` (top-level names) are local, with all that they import in turn.

    Packages are copied whole, with the data that lies in them.
    """
    found = LocalModules()
    waiting = list(packages)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        places = _places(name)
        if not places:
            found.packages.add(name)
            continue
        found.names.add(name)
        for place in places:
            for path, relative in _files(place, found):
                waiting += _take(path, relative, found)
    return found


def _places(name: str) -> list[Path]:
    """The file or the folders of a local module; empty when it is not local."""
    if name in sys.stdlib_module_names or name == "__main__":
        return []
    module = sys.modules.get(name)
    try:
        spec = module.__spec__ if module is not None else importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        places = [Path(each) for each in spec.submodule_search_locations]
    elif spec.has_location and spec.origin:
        places = [Path(spec.origin)]
    else:
        return []
    local = [each for each in places if each.exists() and not _is_installed(each)]
    # What an editable install points to belongs to its distribution.
    return [] if local and name in providers() else local


def _is_installed(path: Path) -> bool:
    resolved = path.resolve()
    roots = (sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib"))
    inside = any(resolved.is_relative_to(Path(root).resolve()) for root in roots if root)
    return inside or bool({"site-packages", "dist-packages"} & set(resolved.parts))


def _files(place: Path, found: LocalModules) -> Iterator[tuple[Path, str]]:
    """Files to copy, with their paths in the program folder; notes on others go to `found`."""
    if place.is_file():
        yield place, place.name
        return
    from sageturner_magic.capture.code_folder import chosen_below

    paths, notes = chosen_below(place)
    found.findings += notes
    for relative in paths:
        yield place / relative, f"{place.name}/{relative}"


def _take(path: Path, relative: str, found: LocalModules) -> list[str]:
    """Add one file; returns the packages that it imports."""
    if path.suffix in (".so", ".pyd"):
        found.findings.append(
            Finding(
                f"`{relative.partition('.')[0]}` is compiled for this machine",
                where=str(path),
                why="it does not run where the model does",
                do="make a package of it and install that with `python_packages`",
                code="ST41",
            )
        )
        return []
    if relative == "sageturner.py":
        found.findings.append(
            Finding(
                "A module beside the notebook is called sageturner",
                where=str(path),
                why="the captured code takes that name",
                do="rename it",
                code="ST41",
            )
        )
        return []
    if path.suffix != ".py":
        found.files[relative] = SourceFile(relative, path)
        found.findings += file_findings(path)
        return []
    content = path.read_bytes()
    found.files[relative] = SourceFile(relative, content)
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        found.findings.append(
            Finding(
                f"Python cannot read {relative}: {error.args[0]}",
                where=f"{path}:{line}",
                do="fix the line",
                code="ST33",
            )
        )
        return []
    found.findings += secret_findings(content.decode(), lambda line: f"{path}:{line}")
    found.findings += _changed_since_import(path, relative, tree)
    return [
        imported.package
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for imported in imported_names(node)
        if imported.package
    ]


def _changed_since_import(path: Path, relative: str, tree: ast.Module) -> list[Finding]:
    dotted = relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    module = sys.modules.get(dotted)
    if module is None:
        return []
    definitions = {
        node.name: node for node in tree.body if isinstance(node, (*FUNCTIONS, ast.ClassDef))
    }
    for name, node in definitions.items():
        live = vars(module).get(name)
        if live is None or definition_is(node, tree, live) is False:
            return [
                Finding(
                    f"{relative} was changed after the notebook imported it",
                    where=f"{path}:{node.lineno}",
                    why=f"the notebook still works with the old `{name}`",
                    do="restart the kernel and run the notebook again, or use"
                    f" importlib.reload({dotted})",
                    code="ST39",
                )
            ]
    return []
