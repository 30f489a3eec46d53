"""What the slicer chose for one module."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from sageturner_magic.capture.slicing.kept import Saved
from sageturner_magic.capture.syntax import KeptImport, Statement
from sageturner_magic.errors import Finding
from sageturner_magic.packages.needed import imported_names


@dataclass(frozen=True)
class Slice:
    """What a module is made of: imports in no order, statements in the order to write them.

    Attributes:
        warnings: Statements that act on what the module uses and are not in it, and code that
            gives something else in each process.
    """

    imports: tuple[KeptImport, ...]
    statements: tuple[Statement, ...]
    warnings: tuple[Finding, ...] = ()
    saved: tuple[Saved, ...] = ()
    definitions: Mapping[int, str] = field(default_factory=dict)

    def packages(self) -> tuple[str, ...]:
        """The top-level packages that the slice and its pickles import, sorted."""
        found = {kept.imported.package for kept in self.imports}
        found |= {package for each in self.saved for package in each.packages}
        for statement in self.statements:
            if not any("import" in line for line, _ in statement.text):
                continue
            for node in ast.walk(statement.node):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    found |= {imported.package for imported in imported_names(node)}
        return tuple(sorted(found - {"", "__future__"}))
