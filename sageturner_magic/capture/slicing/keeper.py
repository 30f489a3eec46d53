"""Decide which values of the notebook a slice keeps as they are, and write their statements."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any

from sageturner_magic.capture.history import History, RunOrigin, RunStatement
from sageturner_magic.capture.slicing import refusals
from sageturner_magic.capture.slicing.kept import (
    Saved,
    comes_from,
    file_name,
    folder_source,
    is_large,
    literal_of,
    saved,
)
from sageturner_magic.capture.slicing.literals import Literal
from sageturner_magic.capture.slicing.liveness import same_code
from sageturner_magic.capture.syntax import written
from sageturner_magic.errors import Finding
from sageturner_magic.packages.needed import notebook_names_in
from sageturner_magic.values import CellLine, Shipped


class Keeper:
    """The values that one slice keeps.

    Attributes:
        definitions: Id of a class or function that a pickle names -> its name in the module.
        lambdas: Name in the module of a lambda that a pickle names -> the statement of it.
    """

    def __init__(
        self,
        history: History,
        namespace: Mapping[str, object],
        shipped: Shipped,
        wanted: frozenset[str],
    ) -> None:
        self._history = history
        self._namespace = namespace
        self._shipped = shipped
        self._wanted = wanted
        self._literals: dict[str, Literal | None] = {}
        self._saved: dict[str, Saved | None] = {}
        self._large: set[str] = set()
        self._kept: dict[str, RunStatement] = {}
        self.lambdas: dict[str, RunStatement] = {}
        self.definitions: dict[int, str] = {}

    def is_wanted(self, name: str) -> bool:
        """Whether `name` is to be kept, whatever its source gives."""
        return name in self._wanted

    def is_current(self, name: str, binder: RunStatement | None, at: float | None) -> bool:
        """Whether what the notebook has now as `name` is what a reader at step `at` sees.

        Args:
            binder: The statement that gave `name` its value; None where none is known.
            at: None: a function reads it, after everything has run.
        """
        if name not in self._namespace or name.startswith("__"):
            return False
        if binder is None:
            return self._history.deleter(name) is None
        if not self._history.is_final(name, binder):
            return False
        if at is None or _is_constant(self._namespace[name]):
            return True
        later = [change for change in self._history.changes(name, binder) if change.index >= at]
        return not later and self._history.doubt(name, binder) is None

    def is_value(self, name: str) -> bool:
        """Whether the notebook has a value as `name`, not a function, class or module."""
        live = self._namespace.get(name, print)
        return not (name.startswith("__") or callable(live) or isinstance(live, ModuleType))

    def literal(self, name: str) -> Literal | None:
        """The value of `name` as source, if it is plain data and short enough."""
        if name not in self._literals:
            self._literals[name] = literal_of(self._namespace[name], self._namespace)
        return self._literals[name]

    def can_keep(self, name: str) -> bool:
        """Whether the value of `name` can be kept in either way."""
        return self.literal(name) is not None or self._object(name) is not None

    def keep(self, name: str, binder: RunStatement | None) -> RunStatement | None:
        """The statement that gives `name` its value in the module; None if nothing can."""
        if name in self._kept:
            return self._kept[name]
        literal = self.literal(name)
        origin = comes_from(binder) if binder else name
        if literal is not None:
            source = f"# From the notebook: {origin}\n{name} = {literal.text}"
            return self._add(name, binder, source, (), RunOrigin.OTHER)
        found = self._object(name)
        if found is None:
            return None
        needs = [self._named(each) for each in found.found]
        return self._add(
            name, binder, found.source(origin), [each for each in needs if each], RunOrigin.KEPT
        )

    def _add(
        self,
        name: str,
        binder: RunStatement | None,
        source: str,
        needs: Sequence[str],
        origin: RunOrigin,
    ) -> RunStatement:
        places = [self._history.binder(each) for each in needs]
        last = max([each.index for each in places if each], default=-1)
        is_after = binder is not None and binder.index > last
        # Fractions of a step: a statement may give several names.
        count = len(self._kept) + 1
        index = binder.index if binder and is_after else len(self._history.steps)
        place = binder.statement.place if binder else CellLine(self._last_cell(), 1)
        statement = written(source, place, needs)
        step = RunStatement(index + count / 1_000_000, statement, origin)
        self._kept[name] = step
        return step

    def _last_cell(self) -> int:
        return max((step.statement.cell.number for step in self._history.steps), default=0)

    def _object(self, name: str) -> Saved | None:
        if name not in self._saved:
            value = self._namespace[name]
            explicit = self._shipped.files.get(name, "")
            found = saved(name, value, explicit)
            if found is not None and not explicit and is_large(value):
                self._large.add(name)
                found = None
            if found is not None and not all(self._named(each) for each in found.found):
                found = None
            self._saved[name] = found
        return self._saved[name]

    def _named(self, value: Any) -> str:
        """The name in the module of a class or function of the notebook; empty if it has none."""
        if id(value) not in self.definitions:
            own = value.__qualname__
            names = [own, *self._namespace]
            found = [
                name
                for name in names
                if self._namespace.get(name) is value and self._history.binder(name) is not None
            ]
            name = found[0] if found else self._lambda(value)
            if not name:
                return ""
            self.definitions[id(value)] = name
        return self.definitions[id(value)]

    def names_in_artefact(self) -> Iterator[str]:
        """Names of the notebook that pickles among the model files refer to.

        What cannot be named is left to whoever writes or reads the file.
        """
        for variable, file in self._shipped.files.items():
            value = self._namespace.get(variable)
            found = saved(variable, value, file)
            named = [self._named(each) for each in found.found] if found else []
            yield from filter(None, named)
        if self._shipped.path is not None and self._shipped.path.exists():
            for name in sorted(notebook_names_in(self._shipped.path)):
                if self._history.binder(name) is not None:
                    yield name

    def _lambda(self, value: Any) -> str:
        """The name of a new statement that defines the lambda `value`, from where it was typed."""
        if getattr(value, "__name__", "") != "<lambda>" or value.__defaults__ or value.__closure__:
            return ""
        for step in reversed(self._history.steps):
            for node in ast.walk(step.node):
                if not isinstance(node, ast.Lambda) or not _is_code_of(node, step, value.__code__):
                    continue
                name = f"_lambda_{len(self.lambdas) + 1}"
                place = step.statement.cell.line(node.lineno)
                statement = written(f"{name} = {ast.unparse(node)}", place)
                # Just before the statement that it was typed in.
                index = step.index - (len(self.lambdas) + 1) / 1_000_000
                self.lambdas[name] = RunStatement(index, statement, step.origin)
                return name
        return ""

    def steps(self) -> list[RunStatement]:
        """All statements that keep something, with what they need."""
        found = [*self.lambdas.values(), *self._kept.values()]
        if self.saved():
            first = min(self._kept.values(), key=lambda step: step.index)
            source = folder_source(is_beside_code=self._shipped.is_beside_code)
            statement = written(source, first.statement.place)
            found.append(RunStatement(-1, statement, RunOrigin.KEPT))
        return found

    def saved(self) -> tuple[Saved, ...]:
        """The objects that are kept in files."""
        found = [self._saved.get(name) for name in self._kept if self.literal(name) is None]
        return tuple(each for each in found if each is not None)

    def modules(self) -> set[str]:
        """Modules that the statements need."""
        literals = [self.literal(name) for name in self._kept]
        found = {module for each in literals if each for module in each.modules}
        readers = {each.needs for each in self.saved()}
        return found | readers | ({"os"} if readers else set())

    def refusal(self, name: str, step: RunStatement) -> Finding:
        """Why `name` cannot be kept."""
        if name in self._large:
            return refusals.large(
                name, step, self._namespace[name], file_name(name, self._namespace[name])
            )
        return refusals.not_source(name, step, self._namespace)

    def findings(self, steps: Sequence[RunStatement]) -> Iterator[tuple[str, Finding]]:
        """Secrets in what is kept, and what would change or part it in the module."""
        for found in self.saved():
            name = found.live.variable
            if found.secret and name not in self._shipped.files:
                yield name, refusals.holds_secret(found, self._kept[name].statement.place)
        kept = set(self._kept.values())
        for name, step in self._kept.items():
            if _is_constant(self._namespace[name]):
                continue
            for other in steps:
                if other in kept or not other.statement.calls:
                    continue
                if name in self._history.read_by_calling(other.statement.names.reads, other.index):
                    yield name, refusals.filled(name, step, other)
        owners: dict[int, str] = {}
        for name, step in self._kept.items():
            literal = self.literal(name)
            for each in literal.holds if literal else ():
                if owners.setdefault(each, name) != name:
                    yield name, refusals.shared(name, owners[each], step)


def _is_code_of(node: ast.Lambda, step: RunStatement, live: CodeType) -> bool:
    """Whether `live` is what `node` compiles to, alone or after the imports of its cell."""
    imports = [each for each in step.statement.cell.tree.body if isinstance(each, ast.Import)]
    for before in ([], imports):
        tree = ast.Module([*before, ast.copy_location(ast.Expr(node), node)], [])
        code = compile(tree, "<capture>", "exec", dont_inherit=True)
        if any(isinstance(each, CodeType) and same_code(each, live) for each in code.co_consts):
            return True
    return False


def _is_constant(value: object) -> bool:
    """Whether nothing can change `value` in place."""
    if isinstance(value, tuple | frozenset):
        return all(map(_is_constant, value))
    return value is None or isinstance(value, bool | int | float | complex | str | bytes)
