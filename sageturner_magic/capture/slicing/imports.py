"""Keep the imports of a module, and find those that no statement has."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from sageturner_magic.capture.cells import Cell
from sageturner_magic.capture.history import History
from sageturner_magic.capture.runs import Run, RunOrigin, RunStatement
from sageturner_magic.capture.slicing import refusals
from sageturner_magic.capture.slicing.staleness import imported_value
from sageturner_magic.capture.syntax import KeptImport
from sageturner_magic.errors import Finding
from sageturner_magic.packages.needed import Import, ImportedName, imported_names
from sageturner_magic.values import attribute_of


class Imports:
    """The imports of one module.

    Attributes:
        bound: Name -> the import, and the statement that it stands in where one does.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self.bound: dict[str, tuple[KeptImport, RunStatement | None]] = {}
        self._dotted: dict[str, float | None] = {}

    def bind(self, name: str, binder: RunStatement, at: float | None) -> Finding | None:
        """Keep the import that `binder` binds to `name`, read at step `at`."""
        if isinstance(binder.node, ast.Import):
            self._dotted[name] = at
        doubt = self._history.doubt(name, binder)
        if at is not None and doubt is not None and binder.index < doubt.index < at:
            return refusals.doubtful(name, binder, doubt)
        for imported in imported_names(as_import(binder.node)):
            if imported.bound == name:
                return self.add(name, KeptImport(imported, binder.statement.place), binder)
        return None

    def add(self, name: str, kept: KeptImport, step: RunStatement | None) -> Finding | None:
        """Keep an import; the finding says why a module cannot have it beside the others."""
        before = self.bound.get(name)
        if before is not None and not _same_object(before[0].imported, kept.imported):
            return refusals.two_imports(name, before[0], kept)
        if kept.imported.module.startswith("."):
            return refusals.relative_import(kept)
        self.bound[name] = (kept, step)
        return None

    def complete_dotted(self, kept_steps: Iterable[RunStatement]) -> None:
        """`import a.b` and `import a.c` both bind `a`: take those whose names are used."""
        imports = [step for step in self._history.steps if isinstance(step.node, ast.Import)]
        paths = {each.name for step in imports for each in as_import(step.node).names}
        if not any("." in path and path.partition(".")[0] in self._dotted for path in paths):
            return
        used = {
            ast.unparse(node)
            for step in kept_steps
            for node in ast.walk(step.node)
            if isinstance(node, ast.Attribute) and _is_dotted(node)
        }
        for name, at in self._dotted.items():
            found: dict[str, tuple[KeptImport, RunStatement | None]] = {}
            for step in self._history.steps[: None if at is None else int(at)]:
                trusted = step.origin not in (RunOrigin.FOREIGN, RunOrigin.FAILED)
                if not isinstance(step.node, ast.Import) or not trusted:
                    continue
                for imported in imported_names(step.node):
                    wanted = imported.bound == name and f"{name}." in imported.module
                    if wanted and any(
                        each == imported.module or each.startswith(imported.module + ".")
                        for each in used
                    ):
                        kept = KeptImport(imported, step.statement.place)
                        found[imported.module] = (kept, step)
            if found:
                # Under the modules' own paths: one name stands for several imports.
                del self.bound[name]
                self.bound.update(found)


def last_imports(runs: Sequence[Run]) -> dict[str, Cell]:
    """Names whose latest binding in the notebook is an import, with the cell of the import."""
    history = History(runs)
    names = {
        name for step in history.steps if step.is_import for name in step.statement.names.binds
    }
    binders = {name: history.binder(name) for name in sorted(names)}
    return {
        name: step.statement.cell
        for name, step in binders.items()
        if step is not None and step.is_import
    }


def star_that_has(name: str, live: object, stars: Sequence[RunStatement]) -> RunStatement | None:
    """The star import that `name` came from, if one did."""
    for step in reversed(stars):
        assert isinstance(step.node, ast.ImportFrom)
        module = sys.modules.get(step.node.module or "")
        if module is not None and live is not None and getattr(module, name, None) is live:
            return step
    return None


def star_gives(name: str, star: RunStatement) -> KeptImport:
    """The import of `name` alone in the place of a star import."""
    module = as_import(star.node)
    assert isinstance(module, ast.ImportFrom)
    return KeptImport(ImportedName(module.module or "", name, name), star.statement.place)


def importable_in(history: History, name: str, live: object) -> Import | None:
    """The import that gives what the notebook has under `name`, which no cell binds."""
    if history.deleter(name) is not None:
        return None
    failed = history.failed_binder(name)
    written = imported_names(as_import(failed.node)) if failed and failed.is_import else ()
    as_written = [
        str(each) for each in written if each.bound == name and imported_value(each) is live
    ]
    found = as_written[0] if as_written else _importable(name, live)
    return as_import(ast.parse(found).body[0]) if found else None


def as_import(node: ast.stmt) -> Import:
    assert isinstance(node, (ast.Import, ast.ImportFrom))
    return node


def _same_object(one: ImportedName, other: ImportedName) -> bool:
    if one == other:
        return True
    # `import a.b` and `import a.c` both bind `a`, the same package.
    return not one.name and not other.name and one.bound == one.package == other.package


def _is_dotted(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _importable(name: str, live: Any) -> str:
    """The import that gives `live` anywhere (`import numpy as np`), or an empty string."""
    if isinstance(live, ModuleType):
        known = sys.modules.get(live.__name__) is live and live.__name__ != "__main__"
        if not known:
            return ""
        plain = "." not in live.__name__ and live.__name__ == name
        return f"import {live.__name__}" + ("" if plain else f" as {name}")
    module, qualified = attribute_of(live, "__module__"), attribute_of(live, "__qualname__")
    if not isinstance(module, str) or not isinstance(qualified, str) or "." in qualified:
        return ""
    home = sys.modules.get(module)
    if (
        home is None
        or module in ("__main__", "builtins")
        or getattr(home, qualified, None) is not live
    ):
        return ""
    return f"from {module} import {qualified}" + ("" if qualified == name else f" as {name}")
