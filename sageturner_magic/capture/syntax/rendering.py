"""Write the chosen statements as a module that a person could have written."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from sageturner_magic.capture.syntax.statements import Statement
from sageturner_magic.capture.syntax.trees import FUNCTIONS
from sageturner_magic.packages.needed import ImportedName
from sageturner_magic.values import CellLine

_WIDTH = 88


@dataclass(frozen=True)
class KeptImport:
    """An import that the module needs, and the line it was typed on."""

    imported: ImportedName
    place: CellLine


@dataclass(frozen=True)
class Rendered:
    """The text of a module, and where each of its lines came from."""

    source: str
    lines: dict[int, CellLine]


def render_module(
    header: Sequence[str],
    imports: Iterable[KeptImport],
    statements: Sequence[Statement],
    local: Collection[str] = (),
) -> Rendered:
    """One module: `__future__`, standard library, third party, `local`, then `statements`.

    The same input gives the same bytes, whatever the numbers of the cells: they would change
    with every run of the notebook, and with them the image layer that holds the file.
    """
    page = _Page()
    for line in header:
        page.add(f"# {line}".rstrip())
    for group in _grouped(imports, local):
        page.space(1)
        for place, lines in _import_lines(group):
            for line in lines:
                page.add(line, place)
    previous: Statement | None = None
    for statement in statements:
        page.space(_blank_lines(previous, statement))
        for text, number in statement.text:
            page.add(text, statement.cell.line(number))
        previous = statement
    return Rendered("\n".join(page.text) + "\n", page.lines)


class _Page:
    def __init__(self) -> None:
        self.text: list[str] = []
        self.lines: dict[int, CellLine] = {}

    def add(self, line: str, place: CellLine | None = None) -> None:
        self.text.append(line)
        if place is not None:
            self.lines[len(self.text)] = place

    def space(self, count: int) -> None:
        if self.text:
            self.text.extend([""] * count)


def _import_lines(group: Sequence[KeptImport]) -> Iterator[tuple[CellLine, list[str]]]:
    """The import statements of a group: what comes from one module stands in one statement."""
    for (module, from_module), same in groupby(
        group, key=lambda kept: (kept.imported.module, bool(kept.imported.name))
    ):
        members = list(same)
        if not from_module:
            for kept in members:
                yield kept.place, [str(kept.imported)]
            continue
        names = [_as_written(kept.imported) for kept in members]
        line = f"from {module} import {', '.join(names)}"
        if len(line) <= _WIDTH:
            yield members[0].place, [line]
        else:
            yield (
                members[0].place,
                [f"from {module} import (", *(f"    {name}," for name in names), ")"],
            )


def _as_written(imported: ImportedName) -> str:
    renamed = imported.bound != imported.name
    return f"{imported.name} as {imported.bound}" if renamed else imported.name


def _grouped(imports: Iterable[KeptImport], local: Collection[str]) -> list[list[KeptImport]]:
    groups: dict[int, dict[str, KeptImport]] = {}
    for kept in imports:
        groups.setdefault(_group(kept.imported, local), {}).setdefault(str(kept.imported), kept)
    return [
        sorted(groups[rank].values(), key=lambda kept: _import_order(kept.imported))
        for rank in sorted(groups)
    ]


def _group(imported: ImportedName, local: Collection[str]) -> int:
    if imported.module == "__future__":
        return 0
    if imported.package in local:
        return 3
    return 1 if imported.package in sys.stdlib_module_names else 2


def _import_order(imported: ImportedName) -> tuple[bool, str, str, str]:
    # As isort has it: `import x` before `from x import y`, each in alphabetical order.
    return bool(imported.name), imported.module, imported.name, imported.bound


def _blank_lines(previous: Statement | None, statement: Statement) -> int:
    if _is_definition(statement.node) or (previous and _is_definition(previous.node)):
        return 2
    if previous is None or previous.cell is not statement.cell:
        return 1
    return 1 if statement.start - previous.end > 1 else 0


def _is_definition(node: ast.stmt) -> bool:
    return isinstance(node, (*FUNCTIONS, ast.ClassDef))
