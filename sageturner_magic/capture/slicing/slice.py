"""Choose the statements of a notebook that one module needs."""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sageturner_magic.capture.cells import Cell
from sageturner_magic.capture.checks import NOTEBOOK_ONLY, SIGNATURES, Role
from sageturner_magic.capture.history import History, Run, RunOrigin, RunStatement, imported_as
from sageturner_magic.capture.slicing import refusals
from sageturner_magic.capture.slicing.effects import Effects
from sageturner_magic.capture.slicing.liveness import importable
from sageturner_magic.capture.slicing.ordering import in_order
from sageturner_magic.capture.slicing.staleness import imported_value, stale_findings
from sageturner_magic.capture.syntax import (
    BUILTINS,
    Judge,
    KeptImport,
    Statement,
    has_stable_order,
    in_functions,
)
from sageturner_magic.errors import CaptureError, Finding
from sageturner_magic.packages.needed import Import, ImportedName, imported_names


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

    def packages(self) -> tuple[str, ...]:
        """The top-level packages that the slice imports, anywhere in it, sorted."""
        found = {kept.imported.package for kept in self.imports}
        for statement in self.statements:
            if not any("import" in line for line, _ in statement.text):
                continue
            for node in ast.walk(statement.node):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    found |= {imported.package for imported in imported_names(node)}
        return tuple(sorted(found - {"", "__future__"}))


def slice_of(
    captured: Mapping[Role, Cell], runs: Sequence[Run], namespace: Mapping[str, object]
) -> Slice:
    """What load and predict of the captured cells need to run, from all cells that ran.

    Args:
        captured: The cells that hold load and predict; they are among `runs`.
        runs: Every run of a cell, in the order of execution.
        namespace: The notebook's variables, to see whether they still are what the source says.

    Raises:
        CaptureError: Something is needed that no module can hold, with every such finding.
    """
    slicer = _Slicer(History(runs), namespace)
    slicer.begin(captured)
    return slicer.result()


class _Slicer:
    """Follows names from the roots until nothing new is needed."""

    def __init__(self, history: History, namespace: Mapping[str, object]) -> None:
        self._history = history
        self._namespace = namespace
        self._kept: dict[int, RunStatement] = {}
        self._names: dict[int, set[str]] = {}
        self._imports: dict[str, tuple[KeptImport, RunStatement | None]] = {}
        self._dotted: dict[str, int | None] = {}
        self._probing: set[int] = set()
        self._findings: dict[tuple[str, str], Finding] = {}
        self._absent: dict[str, Finding] = {}
        self._set_by_load: set[str] = set()
        self._effects: set[int] = set()
        self._left_out: Mapping[int, tuple[str, RunStatement]] = {}
        self._waiting: list[RunStatement] = []
        self._seen: set[tuple[str, int | None]] = set()

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
        imports = tuple(kept for kept, _ in self._imports.values())
        return Slice(imports, tuple(step.statement for step in self._kept.values()))

    def _keep_features(self) -> None:
        """A `__future__` import holds for all cells that run after it."""
        last = max(self._kept, default=-1)
        for step in self._history.steps[: last + 1]:
            future = isinstance(step.node, ast.ImportFrom) and step.node.module == "__future__"
            if future and step.origin is not RunOrigin.FAILED:
                for imported in imported_names(_as_import(step.node)):
                    kept = KeptImport(imported, step.statement.place)
                    self._imports.setdefault(f"__future__ {imported.name}", (kept, step))

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
        self, name: str, user: RunStatement, line: int, *, at: int | None, optional: bool = False
    ) -> None:
        if (name, at) in self._seen:
            return
        self._seen.add((name, at))
        binder = self._history.binder(name, at)
        if binder is None:
            plain = name in BUILTINS and name not in NOTEBOOK_ONLY
            plain = plain and not self._is_shadowed(name)
            if not plain or self._history.deleter(name, at):
                self._missing(name, user, line, optional=optional)
            return
        if binder.is_import:
            self._import(name, binder, at)
            return
        self._keep(binder, name)
        for change in self._history.changes(name, binder):
            if change.origin is not RunOrigin.FOREIGN and self._judge(change).statement(
                change.node
            ):
                self._keep(change, name)

    def _is_shadowed(self, name: str) -> bool:
        """Whether the notebook means something else by a builtin's name, as after a star import."""
        if name.startswith("__") or name not in self._namespace:
            return False
        # IPython puts an `open`, `exit` and `quit` of its own there.
        live = inspect.unwrap(self._namespace[name])  # type: ignore[arg-type]
        home = str(getattr(live, "__module__", "")).partition(".")[0]
        return home not in ("IPython", "ipykernel") and live is not getattr(builtins, name, live)

    def _missing(self, name: str, user: RunStatement, line: int, *, optional: bool) -> None:
        where = user.statement.cell.line(line)
        live = self._namespace.get(name)
        imported = self._importable(name) if name in self._namespace else None
        if name in NOTEBOOK_ONLY:
            self._find(name, refusals.notebook_only(name, where))
        elif (star := refusals.star_that_has(name, live, self._history.stars)) is not None:
            self._find(name, refusals.star(name, star))
        elif imported is not None:
            self._imports[name] = (KeptImport(imported_names(imported)[0], where), None)
        elif not optional:
            deleter, failed = self._history.deleter(name), self._history.failed_binder(name)
            is_live = name in self._namespace
            self._absent.setdefault(name, refusals.missing(name, where, is_live, deleter, failed))

    def _import(self, name: str, binder: RunStatement, at: int | None) -> None:
        if isinstance(binder.node, ast.Import):
            self._dotted[name] = at
        for imported in imported_names(_as_import(binder.node)):
            if imported.bound == name:
                self._add_import(name, KeptImport(imported, binder.statement.place), binder)

    def _add_import(self, name: str, kept: KeptImport, step: RunStatement) -> None:
        before = self._imports.get(name)
        if before is not None and not _same_object(before[0].imported, kept.imported):
            self._find(name, refusals.two_imports(name, before[0], kept))
        elif kept.imported.module.startswith("."):
            self._find(name, refusals.relative_import(kept))
        else:
            self._imports[name] = (kept, step)

    def _keep(self, step: RunStatement, name: str) -> None:
        self._names.setdefault(step.index, set()).add(name)
        if step.index in self._kept:
            return
        judge = self._judge(step)
        if step.index not in self._effects and not judge.statement(step.node):
            # What load() sets by `global` is there before any request.
            if name not in self._set_by_load:
                self._find(name, refusals.not_source(name, step, self._namespace))
            return
        if judge.probes:
            self._probing.add(step.index)
        first, last = step.statement.start, step.statement.end
        if any(first <= line <= last for line in step.statement.cell.shell_lines):
            self._find(name, refusals.shell_line(name, step))
        self._kept[step.index] = step
        self._waiting.append(step)

    def _judge(self, step: RunStatement) -> Judge:
        return Judge(lambda name: self._qualified(name, step), self._is_unordered)

    def _is_unordered(self, name: str) -> bool:
        live = self._namespace.get(name)
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
        imported = self._importable(name)
        return imported_as(imported, name) if imported is not None else None

    def _importable(self, name: str) -> Import | None:
        """The import that gives what the notebook has under `name`, which no cell binds."""
        if self._history.deleter(name) is not None:
            return None
        live = self._namespace[name]
        failed = self._history.failed_binder(name)
        written = imported_names(_as_import(failed.node)) if failed and failed.is_import else ()
        as_written = [
            str(each) for each in written if each.bound == name and imported_value(each) is live
        ]
        found = as_written[0] if as_written else importable(name, live)
        return _as_import(ast.parse(found).body[0]) if found else None

    def _find(self, name: str, finding: Finding) -> None:
        self._findings.setdefault((name, finding.what), finding)

    # --- the end ---

    def result(self) -> Slice:
        self._complete_dotted_imports()
        steps = in_order(list(self._kept.values()), self._history)
        for name, finding in stale_findings(
            steps, self._names, self._history, self._namespace, self._probing, self._imports
        ):
            if name not in self._set_by_load:
                self._find(name, finding)
        written = {name for step in steps for name in step.statement.names.writes_later}
        for name, finding in self._absent.items():
            if name not in written:
                self._find(name, finding)
        if self._findings:
            raise CaptureError.of(self._findings.values())
        imports = tuple(kept for kept, _ in self._imports.values())
        left_out = tuple(refusals.left_out(root, step) for root, step in self._left_out.values())
        warned = (*left_out, *self._differing(steps))
        return Slice(imports, tuple(step.statement for step in steps), warned)

    def _complete_dotted_imports(self) -> None:
        """`import a.b` and `import a.c` both bind `a`: take those whose names are used."""
        imports = [step for step in self._history.steps if isinstance(step.node, ast.Import)]
        paths = {each.name for step in imports for each in _as_import(step.node).names}
        if not any("." in path and path.partition(".")[0] in self._dotted for path in paths):
            return
        used = {
            ast.unparse(node)
            for step in self._kept.values()
            for node in ast.walk(step.node)
            if isinstance(node, ast.Attribute) and _is_dotted(node)
        }
        for name, at in self._dotted.items():
            found: dict[str, tuple[KeptImport, RunStatement | None]] = {}
            for step in self._history.steps[:at]:
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
                del self._imports[name]
                self._imports.update(found)


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


def _as_import(node: ast.stmt) -> Import:
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
