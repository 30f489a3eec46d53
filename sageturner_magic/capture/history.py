"""Order every statement that ran, and find which of them gave a name its value."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sageturner_magic.capture.runs import Run, RunOrigin, RunStatement
from sageturner_magic.capture.syntax import (
    CALLABLE,
    FACTORIES,
    FACTORY,
    FUNCTIONS,
    NOTEBOOKS_OWN,
    RECORD,
    changed_by,
    factory,
    surely_binds,
    walk,
)
from sageturner_magic.capture.unseen import Unseen
from sageturner_magic.packages.needed import Import, imported_names


@dataclass
class _Events:
    binds: list[RunStatement] = field(default_factory=list)
    deletes: list[RunStatement] = field(default_factory=list)
    changes: list[RunStatement] = field(default_factory=list)
    doubts: list[RunStatement] = field(default_factory=list)
    unreached: list[RunStatement] = field(default_factory=list)


class History:
    """The runs of a session, looked at from one captured module."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.steps: list[RunStatement] = []
        self.stars: list[RunStatement] = []
        self._events: dict[str, _Events] = {}
        self._features_from: float = sys.maxsize
        self._definers: list[RunStatement] = []
        self._registers: dict[float, set[str]] = {}
        unseen = Unseen()
        for run in runs:
            failed = run.stopped_at is not None or run.origin is RunOrigin.FAILED
            for statement, origin in unseen.complete(run):
                self._add(RunStatement(len(self.steps), statement, origin, failed))
        self._end = self._end_of_this_model()

    def _add(self, step: RunStatement) -> None:
        names = step.statement.names
        if step.origin is RunOrigin.UNREACHED:
            for name in names.binds:
                self._of(name).unreached.append(step)
            return
        self.steps.append(step)
        if step.origin in (RunOrigin.FAILED, RunOrigin.UNSEEN):
            for name in [*names.binds, *names.deletes, *changed_by(step.node, names)]:
                self._of(name).doubts.append(step)
            return
        if any(getattr(step.node, part, None) for part in ("decorator_list", "bases", "keywords")):
            self._definers.append(step)
        for name in names.binds:
            self._of(name).binds.append(step)
        for name in names.deletes:
            self._of(name).deletes.append(step)
        for name in changed_by(step.node, names):
            if name not in names.binds:
                self._of(name).changes.append(step)
        if isinstance(step.node, ast.ImportFrom):
            if step.node.names[0].name == "*":
                self.stars.append(step)
            if step.node.module == "__future__" and "annotations" in names.binds:
                self._features_from = min(self._features_from, step.index)

    def _end_of_this_model(self) -> float:
        """Up to where the notebook's statements are those of this model.

        Once another model's load or predict has taken the place of this one's, what was made
        after this one was captured was made for that model.
        """
        own = [step.index for step in self.steps if step.origin is RunOrigin.OWN]
        after = max(own, default=len(self.steps)) + 1
        replaced = any(
            step.origin is RunOrigin.FOREIGN
            and {"load", "predict"} & step.statement.names.binds.keys()
            for step in self.steps[int(after) :]
        )
        return after if replaced else len(self.steps)

    def _of(self, name: str) -> _Events:
        return self._events.setdefault(name, _Events())

    def binder(self, name: str, before: float | None = None) -> RunStatement | None:
        """The statement that gave `name` its value, at step `before` or at the end.

        None when nothing did, or when it was deleted since.
        """
        events = self._events.get(name)
        if events is None:
            return None
        until = self._end if before is None else before
        bound = [step for step in events.binds if step.index < until]
        if not bound and before is None:
            bound, until = events.binds, len(self.steps)
        trusted = [step for step in bound if step.origin is not RunOrigin.FOREIGN]
        chosen = (trusted or bound)[-1:]
        gone = self.deleter(name, until)
        if not chosen or (gone is not None and gone.index > chosen[0].index):
            return None
        return chosen[0]

    def binders(self, name: str) -> Sequence[RunStatement]:
        """Every statement that gave `name` a value, in order."""
        return self._of(name).binds

    def deleter(self, name: str, until: float | None = None) -> RunStatement | None:
        """The last `del` of `name` before step `until`, or at all."""
        events = self._events.get(name, _Events())
        found = [step for step in events.deletes if until is None or step.index < until]
        return found[-1] if found else None

    def failed_binder(self, name: str) -> RunStatement | None:
        """The last statement of a failed cell that would have bound `name`."""
        events = self._events.get(name, _Events())
        failed = [step for step in events.doubts if step.origin is RunOrigin.FAILED]
        doubts = [step for step in failed if name in step.statement.names.binds]
        return max([*doubts, *events.unreached], key=lambda step: step.index, default=None)

    def read_by_calling(self, names: Iterable[str], before: float) -> set[str]:
        """Names that may be read when what `names` stand for at step `before` is called.

        Through the functions that those call, base classes, decorators and other names.
        """
        return {name for step in self._called(names, before) for name in step.statement.names.later}

    def changed_by_calling(self, names: Iterable[str], before: float) -> set[str]:
        """Names whose values may change when what `names` stand for at step `before` is called."""
        return {name for step in self._called(names, before) for name in _changed_later(step)}

    def _called(self, names: Iterable[str], before: float) -> Iterator[RunStatement]:
        """Definitions whose functions may run when what `names` stand for is called."""
        seen: set[tuple[str, float]] = set()
        given: set[float] = set()
        waiting = [(name, before) for name in names]
        while waiting:
            name, at = waiting.pop()
            if (name, at) in seen:
                continue
            seen.add((name, at))
            binder = self.binder(name, at)
            if binder is None or binder.index in given or not binder.statement.gives_a_callable:
                continue
            given.add(binder.index)
            yield binder
            # A method may be a base class's, and a decorator may call anything: those of that time.
            waiting += [(each, binder.index) for each in binder.statement.names.reads]
            waiting += [(each, before) for each in binder.statement.names.later]

    def registers(self, step: RunStatement) -> set[str]:
        """Names whose values `step`, a definition, may change through decorators and base classes.

        As registries are filled: by a decorator, by `__init_subclass__`, or by a metaclass.
        """
        if not step.is_definition:
            return set()
        if step.index not in self._registers:
            called = {
                each.id
                for part in getattr(step.node, "decorator_list", ())
                for each in walk(part)
                if isinstance(each, ast.Name)
            }
            ran = list(self._called(called, step.index)) + self._bases_that_register(step)
            self._registers[step.index] = {
                *(name for each in ran for name in _changed_later(each)),
                *(name for name in called if self._is_class(name, step.index)),
            }
        return self._registers[step.index]

    def _is_class(self, name: str, before: float) -> bool:
        binder = self.binder(name, before)
        return binder is not None and isinstance(binder.node, ast.ClassDef)

    def _bases_that_register(self, step: RunStatement) -> list[RunStatement]:
        """The base classes and metaclasses of a class, if they run code when it is defined."""
        if not isinstance(step.node, ast.ClassDef):
            return []
        parts = [*step.node.bases, *(each.value for each in step.node.keywords)]
        names = {each.id for part in parts for each in walk(part) if isinstance(each, ast.Name)}
        bases = list(self._called(names, step.index))
        return bases if any(map(_runs_for_subclasses, bases)) else []

    def is_final(self, name: str, binder: RunStatement) -> bool:
        """Whether no later statement of any cell gave `name` another value."""
        events = self._of(name)
        return not any(step.index > binder.index for step in [*events.binds, *events.deletes])

    def changes(self, name: str, binder: RunStatement) -> list[RunStatement]:
        """What changed in place the value that `binder` gave to `name`."""
        events = self._of(name)
        rebound = [step.index for step in events.binds if step.index > binder.index]
        until = min(rebound, default=len(self.steps))
        found = [
            *events.changes,
            *(each for each in self._definers if name in self.registers(each)),
        ]
        return [step for step in found if binder.index < step.index < until]

    def doubt(self, name: str, binder: RunStatement) -> RunStatement | None:
        """The failed statement that may have touched what `binder` gave to `name`."""
        events = self._of(name)
        rebound = [step.index for step in events.binds if step.index > binder.index]
        until = min(rebound, default=len(self.steps))
        found = [step for step in events.doubts if binder.index < step.index < until]
        return found[-1] if found else None

    def before(self, name: str, binder: RunStatement) -> RunStatement | None:
        """The value that `name` keeps where `binder` only perhaps binds it, or reads it first."""
        if surely_binds(binder.node, name) and not isinstance(binder.node, ast.AugAssign):
            return None
        return self.binder(name, binder.index)

    def evaluates_annotations(self, step: RunStatement) -> bool:
        """Whether the annotations of `step` are evaluated when it runs."""
        if sys.version_info >= (3, 14):
            return False
        return step.index <= self._features_from

    def qualified(self, name: str, before: float) -> str | None:
        """What `name` stands for at step `before`, as `safety.Qualify` has it."""
        step = self.binder(name, before)
        if step is None:
            return None
        node = step.node
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            return imported_as(node, name)
        if isinstance(node, ast.ClassDef):
            return RECORD if _is_record(node, self, step.index) else CALLABLE
        if isinstance(node, FUNCTIONS):
            return factory(node)
        value = getattr(node, "value", None)
        if isinstance(value, ast.Lambda):
            return factory(value)
        called = value.func if isinstance(value, ast.Call) else None
        if isinstance(called, ast.Name) and self.qualified(called.id, step.index) == FACTORIES:
            return FACTORY
        if isinstance(value, ast.Name):
            # `g = f` is whatever f is.
            return self.qualified(value.id, step.index) or ""
        if isinstance(node, (ast.Try, ast.If)):
            return _from_branches(node, name)
        if isinstance(value, ast.AST) and any(
            isinstance(each, ast.Lambda)
            or (isinstance(each, ast.Name) and self._is_callable(each.id, step.index))
            for each in ast.walk(value)
        ):
            # A container of functions hands them on.
            return CALLABLE
        return ""

    def _is_callable(self, name: str, before: float) -> bool:
        return self.qualified(name, before) in NOTEBOOKS_OWN


def _changed_later(step: RunStatement) -> Iterator[str]:
    """Names that functions of `step` bind or change."""
    yield from step.statement.names.changes_later
    yield from step.statement.names.writes_later


def imported_as(node: Import, name: str) -> str:
    """The dotted name of what `node` binds to `name`, or an empty string."""
    for imported in imported_names(node):
        if imported.bound == name:
            if imported.name:
                return f"{imported.module}.{imported.name}"
            renamed = imported.bound != imported.package
            return imported.module if renamed else imported.package
    return ""


def _from_branches(node: ast.stmt, name: str) -> str:
    for each in ast.walk(node):
        if isinstance(each, (ast.Import, ast.ImportFrom)):
            found = imported_as(each, name)
            if found:
                return found
        if isinstance(each, (*FUNCTIONS, ast.ClassDef)) and each.name == name:
            return CALLABLE
    return ""


def _runs_for_subclasses(step: RunStatement) -> bool:
    """Whether a class, or one that it names, does something when it gets a subclass."""
    return any(
        (isinstance(each, FUNCTIONS) and each.name == "__init_subclass__")
        or (isinstance(each, ast.ClassDef) and bool(each.keywords))
        or (isinstance(each, ast.Name) and each.id == "type")
        for each in walk(step.node)
    )


def _is_record(node: ast.ClassDef, history: History, before: float) -> bool:
    own = {each.name for each in node.body if isinstance(each, FUNCTIONS)}
    if own & {"__init__", "__new__", "__post_init__", "__init_subclass__", "_missing_"}:
        return False
    marks = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
    named = {ast.unparse(each).rpartition(".")[2] for each in [*marks, *node.bases]}
    return bool(named & {"dataclass", "NamedTuple", "Enum", "IntEnum", "StrEnum", "Flag"})
