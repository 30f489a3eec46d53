"""From what ran in a notebook to the statements that one module needs."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sageturner_magic.capture.cells import Cell
from sageturner_magic.capture.rendering import KeptImport
from sageturner_magic.capture.scopes import BUILTINS
from sageturner_magic.capture.statements import (
    ImportedName,
    Statement,
    imported_names,
    statements_of,
)
from sageturner_magic.errors import CaptureError, Finding


@dataclass(frozen=True)
class Slice:
    """What a module is made of: imports in no order, statements in the order to write them."""

    imports: tuple[KeptImport, ...]
    statements: tuple[Statement, ...]

    def packages(self) -> tuple[str, ...]:
        """The top-level packages that the slice imports, anywhere in it, sorted."""
        found = {kept.imported.package for kept in self.imports}
        for statement in self.statements:
            for node in ast.walk(statement.node):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    found |= {imported.package for imported in imported_names(node)}
        return tuple(sorted(found - {"", "__future__"}))


def slice_of(
    captured: Sequence[Cell], ran: Sequence[Cell], namespace: Mapping[str, object]
) -> Slice:
    """The captured cells and every import that they use from other cells.

    Args:
        captured: The cells that hold load and predict, in the order to write them.
        ran: Every cell that ran without error, in the order of execution.
        namespace: The notebook's variables, to tell what a missing name is.

    Raises:
        CaptureError: A name is needed that the module cannot get, with every such name.
    """
    own = [statement for cell in captured for statement in statements_of(cell)]
    statements = [each for each in own if not isinstance(each.node, (ast.Import, ast.ImportFrom))]
    findings = [_star(each) for each in own if _is_star(each)]
    imports = [kept for each in own if not _is_star(each) for kept in _imports(each)]
    findings += _conflicts(imports)
    bound = {name for each in own for name in each.names.binds} | BUILTINS
    bound |= {name for each in own for name in each.names.writes_later}
    others = _last_bindings(cell for cell in ran if cell not in captured)
    missing: dict[str, Statement] = {}
    for statement in statements:
        for name in statement.names.needed():
            if name not in bound:
                missing.setdefault(name, statement)
    for name, user in missing.items():
        binding = others.get(name)
        found = _import_of(binding, name) if binding else None
        if found is not None:
            imports.append(found)
        else:
            findings.append(_cannot_get(name, user, binding, namespace))
    if findings:
        raise CaptureError.of(findings)
    return Slice(tuple(imports), tuple(statements))


def last_imports(ran: Iterable[Cell]) -> dict[str, Cell]:
    """Names whose latest binding in the notebook is an import, with the cell of the import."""
    return {
        name: statement.cell
        for name, statement in _last_bindings(ran).items()
        if isinstance(statement.node, (ast.Import, ast.ImportFrom))
    }


def _last_bindings(ran: Iterable[Cell]) -> dict[str, Statement]:
    bindings: dict[str, Statement] = {}
    for cell in ran:
        for statement in statements_of(cell):
            for name in statement.names.binds:
                bindings[name] = statement
            for name in statement.names.deletes:
                bindings.pop(name, None)
    return bindings


def _is_star(statement: Statement) -> bool:
    node = statement.node
    return isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)


def _star(statement: Statement) -> Finding:
    return Finding(
        f"`{ast.unparse(statement.node)}` imports whatever the module holds",
        where=str(statement.place),
        why="it cannot be seen which names the code means",
        do="name what the code uses: `from … import a, b`",
    )


def _imports(statement: Statement) -> list[KeptImport]:
    node = statement.node
    if not isinstance(node, (ast.Import, ast.ImportFrom)):
        return []
    return [KeptImport(imported, statement.place) for imported in imported_names(node)]


def _import_of(statement: Statement, name: str) -> KeptImport | None:
    return next((kept for kept in _imports(statement) if kept.imported.bound == name), None)


def _conflicts(imports: Sequence[KeptImport]) -> list[Finding]:
    first: dict[str, KeptImport] = {}
    findings = []
    for kept in imports:
        bound = kept.imported.bound
        before = first.setdefault(bound, kept)
        if not _same_object(before.imported, kept.imported):
            findings.append(
                Finding(
                    f"`{bound}` is imported twice, as two different things",
                    where=f"{before.place} and {kept.place}",
                    why=f"`{before.imported}` and `{kept.imported}` cannot stand in one module",
                    do="rename one of them (`import … as …`)",
                )
            )
    return findings


def _same_object(one: ImportedName, other: ImportedName) -> bool:
    if one == other:
        return True
    # `import a.b` and `import a.c` both bind `a`, the same package.
    return not one.name and not other.name and one.bound == one.package == other.package


def _cannot_get(
    name: str, user: Statement, binding: Statement | None, namespace: Mapping[str, object]
) -> Finding:
    where = str(user.cell.line(user.names.needed()[name]))
    if binding is not None:
        kind = type(namespace[name]).__name__ if name in namespace else ""
        made = f"`{name}` is made in {binding.cell.line(binding.names.binds[name])}"
        if kind and kind not in _PLAIN:
            made = f"`{name}` is {_article(kind)} {kind} made in " + str(
                binding.cell.line(binding.names.binds[name])
            )
        return Finding(
            f"`{name}` is not in the captured cells",
            where=where,
            why=f"{made}, which is not captured",
            do="move it into this cell"
            if kind in _PLAIN
            else f"make it inside load(), or ship it: `artefact: {{{name}.joblib: {name}}}`",
        )
    if name in namespace:
        return Finding(
            f"`{name}` is not in the captured cells",
            where=where,
            why="it exists in the notebook, but no cell that ran since the extension was loaded"
            " makes it",
            do="run the cell that makes it again, or define it in this cell",
        )
    return Finding(
        f"`{name}` is not defined in any executed cell",
        where=where,
        do=f"define `{name}` in this cell, or run the cell that does",
    )


_PLAIN = frozenset(
    {"function", "type", "str", "int", "float", "bool", "list", "dict", "tuple", "set", "NoneType"}
)


def _article(noun: str) -> str:
    return "an" if noun[0].lower() in "aeiou" else "a"


def is_standard_library(package: str) -> bool:
    """Whether `package` comes with Python."""
    return package in sys.stdlib_module_names
