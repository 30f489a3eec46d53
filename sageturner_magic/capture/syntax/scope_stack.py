"""File every name that a statement binds or reads where Python's scoping rules put it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ScopeNames:
    """The module-level names of one statement, each with the line of its first use.

    Attributes:
        binds: Bound when the statement runs.
        reads: Read when the statement runs, from what earlier statements bound.
        later: Read when a function that the statement defines is called.
        annotated: Read by annotations when the statement runs, unless `from __future__ import
            annotations` holds.
        soft: Named only where nothing is evaluated, in string annotations and those of local
            variables: of use to whoever resolves them, never needed to run.
        writes_later: Rebound by a function's `global` declaration.
        deletes: Unbound by `del`.
        changes: Names whose value is changed in place: `x[0] = …`, `x.y = …`, `x += …`, `del x[0]`.
        changes_later: Names whose value a function of the statement changes in place.
    """

    binds: dict[str, int]
    reads: dict[str, int]
    later: dict[str, int]
    annotated: dict[str, int]
    soft: dict[str, int]
    writes_later: dict[str, int]
    deletes: dict[str, int]
    changes: dict[str, int]
    changes_later: dict[str, int]

    def needed(self) -> dict[str, int]:
        """Everything that has to exist for the statement and its functions to run."""
        return {**self.later, **self.reads}


@dataclass
class Scope:
    """A module, class, function or comprehension, and the names that are its own."""

    kind: str
    bound: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)


class ScopeStack:
    """The scopes around the place that is visited.

    Attributes:
        names: What was found so far.
        scopes: From the module inwards.
        classes: The names of the classes around the place, for private names.
        deferred: How many enclosing functions are not called where they stand.
        soft: Above 0 where nothing is evaluated.
        annotating: Above 0 inside an annotation.
    """

    def __init__(self) -> None:
        self.names = ScopeNames({}, {}, {}, {}, {}, {}, {}, {}, {})
        self.scopes: list[Scope] = [Scope("module")]
        self.classes: list[str] = []
        self.deferred = 0
        self.soft = 0
        self.annotating = 0

    def mangled(self, name: str) -> str:
        """Return `name` as Python has it inside a class: private names get the class's."""
        if self.classes and name.startswith("__") and not name.endswith("__"):
            return f"_{self.classes[-1].lstrip('_')}{name}"
        return name

    def _is_local(self, name: str) -> bool:
        """Whether `name` is bound where it is used, so that it is not the module's."""
        innermost = len(self.scopes) - 1
        for depth in range(innermost, 0, -1):
            scope = self.scopes[depth]
            if scope.kind == "class" and depth != innermost:
                continue
            if name in scope.globals:
                return False
            if name in scope.bound:
                return True
        return not self.deferred and name in self.scopes[0].bound

    def read(self, name: str, line: int) -> None:
        """File a name that is read at this place."""
        name = self.mangled(name)
        if self._is_local(name):
            return
        if self.soft:
            into = self.names.soft
        elif self.annotating and not self.deferred:
            into = self.names.annotated
        elif self.deferred:
            into = self.names.later
        else:
            into = self.names.reads
        into.setdefault(name, line)

    def bind(self, name: str, line: int) -> None:
        """File a name that is bound at this place."""
        name = self.mangled(name)
        depth = len(self.scopes) - 1
        while self.scopes[depth].kind == "comprehension":
            depth -= 1
        scope = self.scopes[depth]
        if scope.kind == "module" or name in scope.globals:
            target = self.names.writes_later if self.deferred else self.names.binds
            target.setdefault(name, line)
            if not self.deferred:
                self.scopes[0].bound.add(name)
        elif scope.kind == "class":
            scope.bound.add(name)

    def unbind(self, name: str, line: int) -> None:
        """File a name that `del` unbinds."""
        scope = self.scopes[-1]
        if scope.kind == "module":
            self.names.deletes.setdefault(name, line)
            scope.bound.discard(name)
        elif scope.kind == "class":
            scope.bound.discard(name)

    def change(self, target: ast.expr) -> None:
        """File the name whose value `target` changes in place."""
        root = target
        while isinstance(root, (ast.Attribute, ast.Subscript, ast.Starred)):
            root = root.value
        if isinstance(root, ast.Name) and len(self.scopes) == 1:
            self.names.changes.setdefault(root.id, root.lineno)
        self.change_later(root)

    def change_later(self, target: ast.expr) -> None:
        """File it where a function does so when it is called."""
        while isinstance(target, (ast.Attribute, ast.Subscript, ast.Starred)):
            target = target.value
        if self.deferred and isinstance(target, ast.Name) and not self._is_local(target.id):
            self.names.changes_later.setdefault(target.id, target.lineno)
