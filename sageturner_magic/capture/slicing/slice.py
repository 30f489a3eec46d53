"""Choose the statements of a notebook that one module needs."""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sageturner_magic.capture.cells import Cell
from sageturner_magic.capture.checks import NOTEBOOK_ONLY, SIGNATURES, Role
from sageturner_magic.capture.elsewhere import has_stable_order, value_at
from sageturner_magic.capture.history import History, imported_as
from sageturner_magic.capture.runs import Run, RunOrigin, RunStatement
from sageturner_magic.capture.slicing import refusals
from sageturner_magic.capture.slicing.chosen import Slice
from sageturner_magic.capture.slicing.effects import Effects, done_otherwise
from sageturner_magic.capture.slicing.imports import (
    Imports,
    as_import,
    importable_in,
    star_gives,
    star_that_has,
)
from sageturner_magic.capture.slicing.keeper import Keeper
from sageturner_magic.capture.slicing.ordering import in_order
from sageturner_magic.capture.slicing.sources import Sources
from sageturner_magic.capture.slicing.staleness import Stale, stale_findings
from sageturner_magic.capture.syntax import (
    BUILTINS,
    Judge,
    KeptImport,
    in_functions,
    is_guarded,
)
from sageturner_magic.errors import CaptureError, Finding
from sageturner_magic.packages.needed import imported_names
from sageturner_magic.values import CellLine, Shipped


def slice_of(
    captured: Mapping[Role, Cell],
    runs: Sequence[Run],
    namespace: Mapping[str, object],
    shipped: Shipped,
) -> Slice:
    """What load and predict of the captured cells need to run, from all cells that ran.

    What no source gives is kept as the notebook has it: plain values as literals, other objects
    in files that the module reads.

    Args:
        captured: The cells that hold load and predict; they are among `runs`.
        runs: Every run of a cell, in the order of execution.
        namespace: The notebook's variables, to see whether they still are what the source says.
        shipped: How objects of the notebook are shipped.

    Raises:
        CaptureError: Something is needed that no module can hold, with every such finding.
    """
    history = History(runs)
    kept: frozenset[str] = frozenset()
    while True:
        slicer = _Slicer(history, namespace, Keeper(history, namespace, shipped, kept))
        slicer.begin(captured)
        # What is made of a value that is kept now has to be looked at again.
        changed = slicer.changed_values() - kept
        if not changed:
            return slicer.result()
        kept |= changed


class _Slicer:
    """Follows names from the roots until nothing new is needed."""

    def __init__(self, history: History, namespace: Mapping[str, object], keeper: Keeper) -> None:
        self._history = history
        self._namespace = namespace
        self._keeper = keeper
        self._stale: list[Stale] = []
        self._judged: dict[float, bool] = {}
        self._reads: dict[float, dict[str, int]] = {}
        self._kept: dict[float, RunStatement] = {}
        self._names: dict[float, set[str]] = {}
        self._imports = Imports(history)
        self._sources = Sources(history, keeper, self._is_judged, self._now)
        self._probing: set[float] = set()
        self._findings: dict[tuple[str, str], Finding] = {}
        self._absent: dict[str, Finding] = {}
        self._set_by_load: set[str] = set()
        self._effects: set[float] = set()
        self._left_out: Mapping[float, tuple[str, RunStatement]] = {}
        self._waiting: list[RunStatement] = []
        self._steps: list[RunStatement] = []
        self._seen: set[tuple[str, float | None]] = set()

    # --- roots ---

    def begin(self, captured: Mapping[Role, Cell]) -> None:
        for role, cell in captured.items():
            for step in self._history.steps:
                if step.statement.cell != cell or step.origin is not RunOrigin.OWN:
                    continue
                names = set(step.statement.names.binds)
                optional = names & (SIGNATURES.keys() - {"load", "predict"})
                if "load" in names and role == "load":
                    self._set_by_load |= step.statement.names.writes_later.keys()
                if role in names or optional:
                    self._keep(step, role if role in names else min(optional))
        last = max(self._kept.values(), key=lambda step: step.index)
        self._need(self._keeper.names_in_artefact(), last, at=None)
        self._follow()
        self._keep_effects()
        self._keep_features()

    def _keep_effects(self) -> None:
        """Statements that change a library, class or function which the code uses."""
        effects = Effects(self._history, self._judge, self._kept, self._namespace)
        while effects.candidates and (chosen := effects.choose(self._slice().packages())):
            for step, root in chosen:
                self._effects.add(step.index)
                self._keep(step, root)
            self._follow()
        self._left_out = effects.left_out

    def _slice(self) -> Slice:
        imports = tuple(kept for kept, _ in self._imports.bound.values())
        statements = tuple(step.statement for step in self._kept.values())
        return Slice(imports, statements, saved=self._keeper.saved())

    def _keep_features(self) -> None:
        """A `__future__` import holds for all cells that run after it."""
        last = max(self._kept, default=-1)
        for step in self._history.steps[: int(last) + 1]:
            future = isinstance(step.node, ast.ImportFrom) and step.node.module == "__future__"
            if future and step.origin is not RunOrigin.FAILED:
                for imported in imported_names(as_import(step.node)):
                    kept = KeptImport(imported, step.statement.place)
                    self._imports.bound.setdefault(f"__future__ {imported.name}", (kept, step))

    # --- following names ---

    def _follow(self) -> None:
        while self._waiting:
            step = self._waiting.pop()
            names = step.statement.names
            for name, line in self._now(step).items():
                self._require(name, step, line, at=step.index)
            for name, line in {**names.later, **names.writes_later}.items():
                written = name in names.writes_later and name not in names.later
                self._require(name, step, line, at=None, optional=written)
            for name, line in {**names.soft, **names.annotated}.items():
                self._require(name, step, line, at=None, optional=True)

    def _now(self, step: RunStatement) -> dict[str, int]:
        """Names that must exist when the statement runs, through functions that it calls."""
        if step.index not in self._reads:
            self._reads[step.index] = self._find_reads(step)
        return self._reads[step.index]

    def _find_reads(self, step: RunStatement) -> dict[str, int]:
        names = step.statement.names
        found = dict(names.reads)
        if self._history.evaluates_annotations(step):
            found.update(names.annotated)
        found.update(names.changes)
        for name, line in names.binds.items():
            if self._history.before(name, step) is not None:
                found.setdefault(name, line)
        if not step.statement.calls:
            return found
        for name in self._history.read_by_calling(names.reads, step.index):
            found.setdefault(name, step.node.lineno)
        return found

    def _require(
        self, name: str, user: RunStatement, line: int, *, at: float | None, optional: bool = False
    ) -> None:
        if (name, at) in self._seen:
            return
        self._seen.add((name, at))
        binder = self._history.binder(name, at)
        if binder is None:
            plain = name in BUILTINS and name not in NOTEBOOK_ONLY
            plain = plain and not self._is_shadowed(name)
            if not plain or self._history.deleter(name, at):
                self._missing(name, user, line, at, optional=optional)
            return
        if binder.is_import:
            self._report(name, self._imports.bind(name, binder, at))
            return
        if (
            not binder.is_definition
            and not self._sources.give(name, at)
            and self._keep_value(name, binder, at)
        ):
            return
        self._keep(binder, name)
        for change in self._history.changes(name, binder):
            if change.origin is not RunOrigin.FOREIGN and self._is_judged(change):
                self._keep(change, name)

    def _keep_value(self, name: str, binder: RunStatement | None, at: float | None) -> bool:
        """Keep what the notebook has as `name`, if it is not what load() sets, or no value."""
        if name in self._set_by_load or not self._keeper.is_current(name, binder, at):
            return False
        if self._keeper.literal(name) is None and self._sources.make_of_plain(name, binder):
            return False
        step = self._keeper.keep(name, binder)
        if step is None:
            return False
        self._need(step.statement.needs, step, at=step.index)
        return True

    def _need(self, names: Iterable[str], step: RunStatement, *, at: float | None) -> None:
        """Follow what the pickles that `step` reads name in the notebook."""
        for name in names:
            if name in self._keeper.lambdas:
                self._waiting.append(self._keeper.lambdas[name])
            else:
                self._require(name, step, step.node.lineno, at=at)

    def _is_judged(self, step: RunStatement) -> bool:
        """Whether `step` alone may stand in the module; `_probing` has what asks the machine."""
        if step.index not in self._judged:
            judge = self._judge(step)
            self._judged[step.index] = judge.statement(step.node)
            if judge.probes:
                self._probing.add(step.index)
        return step.index in self._effects or self._judged[step.index]

    def _is_shadowed(self, name: str) -> bool:
        """Whether the notebook means something else by a builtin's name, as after a star import."""
        if name.startswith("__") or name not in self._namespace:
            return False
        # IPython puts an `open`, `exit` and `quit` of its own there.
        live = inspect.unwrap(self._namespace[name])  # type: ignore[arg-type]
        home = str(getattr(live, "__module__", "")).partition(".")[0]
        return home not in ("IPython", "ipykernel") and live is not getattr(builtins, name, live)

    def _missing(
        self, name: str, user: RunStatement, line: int, at: float | None, *, optional: bool
    ) -> None:
        where = user.statement.cell.line(line)
        live = self._namespace.get(name)
        imported = (
            importable_in(self._history, name, self._namespace[name])
            if name in self._namespace
            else None
        )
        if name in NOTEBOOK_ONLY:
            if at is not None or not is_guarded(name, user.node):
                self._find(name, refusals.notebook_only(name, where))
        elif (star := star_that_has(name, live, self._history.stars)) is not None:
            self._report(name, self._imports.add(name, star_gives(name, star), None))
        elif imported:
            self._imports.bound[name] = (KeptImport(imported_names(imported)[0], where), None)
        elif not optional:
            if at is None and self._keep_value(name, None, at):
                return
            deleter, failed = self._history.deleter(name), self._history.failed_binder(name)
            is_live = name in self._namespace
            self._absent.setdefault(name, refusals.missing(name, where, is_live, deleter, failed))

    def _keep(self, step: RunStatement, name: str) -> None:
        self._names.setdefault(step.index, set()).add(name)
        if step.index in self._kept:
            return
        if not self._is_judged(step):
            # What load() sets by `global` is there before any request.
            if name not in self._set_by_load:
                self._find(name, self._keeper.refusal(name, step))
            return
        first, last = step.statement.start, step.statement.end
        if any(first <= line <= last for line in step.statement.cell.shell_lines):
            self._find(name, refusals.shell_line(name, step))
        self._kept[step.index] = step
        self._waiting.append(step)

    def _judge(self, step: RunStatement) -> Judge:
        return Judge(lambda name: self._qualified(name, step), self._is_unordered)

    def _is_unordered(self, node: ast.expr) -> bool:
        live = value_at(node, self._namespace)
        return isinstance(live, (set, frozenset)) and not has_stable_order(live)

    def _differing(self, steps: Sequence[RunStatement]) -> Iterator[Finding]:
        """What in the functions of the module depends on the process that runs it."""
        for step in steps:
            for node, is_hash in in_functions(step.node, self._is_unordered):
                yield refusals.differs(node, step.statement.cell.line(node.lineno), is_hash=is_hash)

    def _qualified(self, name: str, step: RunStatement) -> str | None:
        """What `name` stands for where `step` runs, as `safety.Qualify` has it."""
        found = self._history.qualified(name, step.index)
        if found is not None or name not in self._namespace:
            return found
        # `_missing` writes this import: a cell that failed may have got as far as its imports.
        imported = importable_in(self._history, name, self._namespace[name])
        return imported_as(imported, name) if imported is not None else None

    def _report(self, name: str, finding: Finding | None) -> None:
        if finding is not None:
            self._find(name, finding)

    def _find(self, name: str, finding: Finding) -> None:
        self._findings.setdefault((name, finding.what), finding)

    # --- the end ---

    def changed_values(self) -> set[str]:
        """Names of values that are not what their source makes, and that can be kept instead."""
        self._import_readers()
        self._imports.complete_dotted(self._kept.values())
        steps = self._steps = in_order([*self._kept.values(), *self._keeper.steps()], self._history)
        self._stale = [
            each
            for each in stale_findings(
                steps,
                self._names,
                self._history,
                self._namespace,
                self._probing,
                self._imports.bound,
                self._now,
            )
            if each.name not in self._set_by_load
        ]
        stale = {
            each.name
            for each in self._stale
            if each.is_value
            and self._keeper.is_current(each.name, each.step, None)
            and self._keeper.can_keep(each.name)
        }
        made = {
            name
            for step in steps
            if step.index in self._kept and not (step.is_definition or step.is_import)
            for name in step.statement.names.binds.keys() & self._names[step.index]
            if (name, None) in self._seen and self._keeper.is_current(name, step, None)
        }
        return stale | self._keeper.shares(made)

    def _import_readers(self) -> None:
        for module in sorted(self._keeper.modules()):
            imported = imported_names(as_import(ast.parse(f"import {module}").body[0]))[0]
            step = self._keeper.steps()[0]
            kept = KeptImport(imported, step.statement.place)
            self._report(module, self._imports.add(module, kept, None))

    def _notebook_imports(self) -> Iterator[CellLine]:
        """Where the module would import the notebook."""
        for kept, _ in self._imports.bound.values():
            if kept.imported.module == "__main__":
                yield kept.place
        for step in self._steps:
            if not any("__main__" in line for line, _ in step.statement.text):
                continue
            for node in ast.walk(step.node):
                imports = isinstance(node, ast.Import | ast.ImportFrom) and imported_names(node)
                if imports and any(each.module == "__main__" for each in imports):
                    yield step.statement.cell.line(node.lineno)  # type: ignore[attr-defined]

    def result(self) -> Slice:
        steps = self._steps
        for place in self._notebook_imports():
            self._find("__main__", refusals.notebook_module(place))
        for each in self._stale:
            self._find(each.name, each.finding)
        for name, finding in self._keeper.findings(steps):
            self._find(name, finding)
        written = {name for step in steps for name in step.statement.names.writes_later}
        for name, finding in self._absent.items():
            if name not in written:
                self._find(name, finding)
        if self._findings:
            raise CaptureError.of(self._findings.values())
        imports = tuple(kept for kept, _ in self._imports.bound.values())
        left_out = tuple(
            refusals.left_out(root, step)
            for root, step in self._left_out.values()
            if not done_otherwise(step, steps)
        )
        return Slice(
            imports,
            tuple(step.statement for step in steps),
            (*left_out, *self._differing(steps)),
            self._keeper.saved(),
            self._keeper.definitions,
        )
