"""Decide which values of the notebook a slice keeps as they are, and write their statements."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any

from sageturner_magic.capture.history import History
from sageturner_magic.capture.runs import RunOrigin, RunStatement
from sageturner_magic.capture.secrets import (
    ALLOWED,
    gives_secret,
    secret_findings,
    secret_literal,
)
from sageturner_magic.capture.sharing import groups, lost
from sageturner_magic.capture.slicing import refusals
from sageturner_magic.capture.slicing.kept import (
    Saved,
    comes_from,
    file_name,
    folder_source,
    is_constant,
    is_large,
    literal_of,
    saved,
    saved_together,
)
from sageturner_magic.capture.slicing.literals import Literal
from sageturner_magic.capture.slicing.liveness import same_code
from sageturner_magic.capture.slicing.scratch import may_have_made
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
        self._origins: dict[str, str] = {}
        self._groups: tuple[int, list[tuple[str, ...]]] = (0, [])
        self._secrets: dict[str, str] = {}
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
        if at is None or is_constant(self._namespace[name]):
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
        origin = _quoted(binder) if binder else name
        if literal is not None:
            source = f"# From the notebook: {origin}\n{name} = {literal.text}"
            self._note_secret(name, binder, literal)
            return self._add(name, binder, source, (), RunOrigin.OTHER)
        found = self._object(name)
        if found is None:
            return None
        return self._add(name, binder, found.source(origin), self._needs(found), RunOrigin.KEPT)

    def _needs(self, found: Saved) -> list[str]:
        """Names of the module that the pickle of `found` refers to."""
        return [name for name in map(self._named, found.found) if name]

    def _note_secret(self, name: str, binder: RunStatement | None, literal: Literal) -> None:
        secret = secret_literal(name, literal.text)
        if not secret and binder and isinstance(self._namespace[name], str | bytes | dict):
            asked = gives_secret(ast.unparse(binder.node))
            secret = "what a call for a secret returned" if asked else ""
        if secret and not (binder and ALLOWED in binder.statement.first_line):
            self._secrets[name] = secret

    def _add(
        self,
        name: str,
        binder: RunStatement | None,
        source: str,
        needs: Sequence[str],
        origin: RunOrigin,
    ) -> RunStatement:
        # Fractions of a step: a statement may give several names.
        count = len(self._kept) + 1
        index = self._place(binder.index if binder else None, needs) + count / 1_000_000
        place = binder.statement.place if binder else CellLine(self._last_cell(), 1)
        step = RunStatement(index, written(source, place, needs), origin)
        self._kept[name] = step
        self._origins[name] = _quoted(binder) if binder else name
        return step

    def _place(self, index: float | None, needs: Sequence[str]) -> float:
        """`index`, or the end of the notebook if that is before something that is needed."""
        places = [self.lambdas.get(each) or self._history.binder(each) for each in needs]
        last = max([each.index for each in places if each], default=-1)
        return index if index is not None and index > last else len(self._history.steps)

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
            if found is not None and any(self._named(each) in ("", name) for each in found.found):
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
            name = found[0] if found else self._lambda(value) or self._former(value)
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

    def _former(self, value: Any) -> str:
        """The name of a new statement that keeps a class or function which was defined again."""
        own = value.__qualname__
        steps = [
            step
            for step in self._history.binders(own)
            if not self._history.is_final(own, step) and may_have_made(step, value)
        ]
        if len({ast.unparse(step.node) for step in steps}) != 1:
            return ""
        count = len(self.lambdas) + 1
        name = f"_{own}_{count}"
        statement = written(f"{name} = {own}", steps[-1].statement.place)
        index = steps[-1].index + count / 1_000_000
        self.lambdas[name] = RunStatement(index, statement, RunOrigin.KEPT)
        return name

    def steps(self) -> list[RunStatement]:
        """All statements that keep something, with what they need."""
        in_groups = {name for group in self._sharing() for name in group}
        alone = [step for name, step in self._kept.items() if name not in in_groups]
        found = [*self.lambdas.values(), *alone]
        for group in self._sharing():
            found += self._read_together(group)
        if self.saved():
            first = min(self._kept.values(), key=lambda step: step.index)
            source = folder_source(is_beside_code=self._shipped.is_beside_code)
            statement = written(source, first.statement.place)
            found.append(RunStatement(-1, statement, RunOrigin.KEPT))
        return found

    def _read_together(self, group: Sequence[str]) -> Iterator[RunStatement]:
        """The statements that read the file of `group` and take each of its objects."""
        together = self._saved_together(group)
        first = self._kept[group[0]]
        needs = self._needs(together)
        # The last place of what is kept there, as no statement that is kept has it.
        index = self._place(int(first.index), needs) + len(self._kept) / 1_000_000 + 1e-9
        place = first.statement.place
        source = together.source_of_all()
        yield RunStatement(index, written(source, place, needs), RunOrigin.KEPT)
        for number, name in enumerate(group, 1):
            source = together.source_of(name, self._origins[name])
            place = self._kept[name].statement.place
            yield RunStatement(index + number * 1e-9, written(source, place), RunOrigin.KEPT)

    def _saved_together(self, group: Sequence[str]) -> Saved:
        return saved_together([found for name in group if (found := self._object(name))])

    def _sharing(self) -> list[tuple[str, ...]]:
        """Names that are kept and have something in common, each group in the cells' order."""
        if self._groups[0] != len(self._kept):
            kept = {
                name: found.parts
                for name in self._kept
                if not is_constant(self._namespace[name]) and (found := self._object(name))
            }
            places = {name: step.index for name, step in self._kept.items()}
            sharing = [tuple(sorted(group, key=places.__getitem__)) for group in groups(kept)]
            self._groups = len(self._kept), sharing
        return self._groups[1]

    def shares(self, names: Iterable[str]) -> set[str]:
        """Those of `names`, which source makes, that share something with a value that is kept."""
        kept = {name for name in self._kept if not is_constant(self._namespace[name])}
        known = {
            name: found.parts
            for name in (*kept, *(names if kept else ()))
            if not is_constant(self._namespace[name]) and (found := self._object(name))
        }
        return {name for group in groups(known) if group & kept for name in group - kept}

    def saved(self) -> tuple[Saved, ...]:
        """What is kept in files, one for each object or group of objects."""
        in_groups = {name for group in self._sharing() for name in group}
        alone = [
            self._saved.get(name)
            for name in self._kept
            if name not in in_groups and self.literal(name) is None
        ]
        together = map(self._saved_together, self._sharing())
        return tuple(each for each in (*alone, *together) if each is not None)

    def modules(self) -> set[str]:
        """Modules that the statements need."""
        in_files = {name for group in self._sharing() for name in group}
        literals = [self.literal(name) for name in self._kept if name not in in_files]
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
        in_files = {each for one in self.saved() for each in one.live.members}
        for name, step in self._kept.items():
            is_in_file = name in in_files or self.literal(name) is None
            found = self._object(name) if is_in_file else None
            if found is not None and found.secret and name not in self._shipped.files:
                yield name, refusals.holds_secret(found, step.statement.place)
            elif not is_in_file and name in self._secrets:
                yield name, refusals.secret_literal(name, self._secrets[name], step.statement.place)
        kept = set(self._kept.values())
        for name, step in self._kept.items():
            is_plain = is_constant(self._namespace[name])
            binder = self._history.binder(name)
            is_sure = binder is None or self._history.doubt(name, binder) is None
            for other in steps:
                if other in kept or other.origin is RunOrigin.KEPT or not other.statement.calls:
                    continue
                if is_plain and name in self._history.registers(other):
                    yield name, refusals.counted(name, step, other, self._namespace[name])
                elif is_plain and is_sure:
                    continue
                elif name in self._history.read_by_calling(
                    other.statement.names.reads, other.index
                ):
                    yield name, refusals.filled(name, step, other)
        yield from self._in_a_circle(steps)
        yield from self._parted()

    def _in_a_circle(self, steps: Sequence[RunStatement]) -> Iterator[tuple[str, Finding]]:
        """Objects that hold functions which their own decorators registered."""
        for name, step in self._kept.items():
            for other in steps:
                is_needed = other.statement.names.binds.keys() & {*step.statement.needs}
                if is_needed and name in other.statement.names.reads:
                    yield name, refusals.circular(name, step, other)

    def _parted(self) -> Iterator[tuple[str, Finding]]:
        """Arrays that share memory in the notebook, and would not in the module."""
        for one in self.saved():
            names = one.live.members or (one.live.variable,)
            home = type(one.live.value).__module__
            if home not in ("__main__", "builtins", "collections"):
                # What a library has inside its objects is the library's, as is how it reads them.
                continue
            parts = {name: found.parts for name in names if (found := self._object(name))}
            in_copies = {*map(id, lost(parts.values(), one.live.file))}
            parted = [
                name
                for name, each in parts.items()
                if any(id(array) in in_copies for array in each.arrays)
            ]
            if parted:
                yield parted[-1], refusals.parted(parted, self._kept[parted[-1]])


def _is_code_of(node: ast.Lambda, step: RunStatement, live: CodeType) -> bool:
    """Whether `live` is what `node` compiles to, alone or after the imports of its cell."""
    imports = [each for each in step.statement.cell.tree.body if isinstance(each, ast.Import)]
    for before in ([], imports):
        tree = ast.Module([*before, ast.copy_location(ast.Expr(node), node)], [])
        code = compile(tree, "<capture>", "exec", dont_inherit=True)
        if any(isinstance(each, CodeType) and same_code(each, live) for each in code.co_consts):
            return True
    return False


def _quoted(step: RunStatement) -> str:
    """As `comes_from`, for a comment in the module: the names alone if there is a secret in it."""
    code = ast.unparse(step.node)
    is_secret = secret_findings(code, str) or secret_literal("", repr(code))
    return " = ".join(sorted(step.statement.names.binds)) if is_secret else comes_from(step)
