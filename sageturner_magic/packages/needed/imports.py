"""List the names that import statements bind."""

from __future__ import annotations

import ast
from dataclasses import dataclass

Import = ast.Import | ast.ImportFrom


@dataclass(frozen=True)
class ImportedName:
    """One name that an import binds: `import a.b as c`, `from a import b as c`.

    Attributes:
        module: The module, with leading dots where it is relative.
        name: What is taken from it; empty for `import module`.
        bound: The name that is bound.
    """

    module: str
    name: str
    bound: str

    @property
    def package(self) -> str:
        """The top-level package; empty for a relative import."""
        return self.module.partition(".")[0]

    def __str__(self) -> str:
        renamed = f" as {self.bound}"
        if self.name:
            return f"from {self.module} import {self.name}" + (
                renamed if self.bound != self.name else ""
            )
        return f"import {self.module}" + (
            renamed if self.bound != self.module.partition(".")[0] else ""
        )


def imported_names(node: Import) -> tuple[ImportedName, ...]:
    """The names that `node` binds, one by one; `*` is left as the name and the bound name."""
    if isinstance(node, ast.Import):
        return tuple(
            ImportedName(alias.name, "", alias.asname or alias.name.partition(".")[0])
            for alias in node.names
        )
    module = "." * node.level + (node.module or "")
    return tuple(
        ImportedName(module, alias.name, alias.asname or alias.name) for alias in node.names
    )
