"""Find values that the notebook changed after their source ran.

Constants are made once more from their source and compared; functions and classes are compared
with the code that their source compiles to. What cannot be compared is taken as its source has
it, unless something is known to have touched it since.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from sageturner_magic.capture.elsewhere import Reads, differing
from sageturner_magic.capture.history import History
from sageturner_magic.capture.runs import RunOrigin, RunStatement
from sageturner_magic.capture.slicing import refusals
from sageturner_magic.capture.slicing.liveness import (
    Verdict,
    definition_is,
    is_iterator,
)
from sageturner_magic.capture.slicing.replayed import Replayed
from sageturner_magic.capture.slicing.scratch import Scratch
from sageturner_magic.capture.syntax import (
    KeptImport,
    changed_by,
    fills_only_what_is_absent,
    surely_binds,
    writes,
)
from sageturner_magic.errors import Finding
from sageturner_magic.packages.needed import ImportedName


@dataclass(frozen=True)
class Stale:
    """A name that the module would have otherwise than the notebook has it.

    Attributes:
        step: The statement that gave it its value.
        is_value: It is a value, which can be kept as it is, not a function, class or import.
    """

    name: str
    step: RunStatement
    finding: Finding
    is_value: bool


def stale_findings(
    steps: Sequence[RunStatement],
    kept_names: Mapping[float, set[str]],
    history: History,
    namespace: Mapping[str, object],
    probing: set[float],
    imports: Mapping[str, tuple[KeptImport, RunStatement | None]],
    reads: Reads,
) -> Iterator[Stale]:
    """All that the module would have otherwise than the notebook has it.

    Args:
        steps: The statements of the module, in their order.
        kept_names: Index of a step -> the names that it is kept for.
        probing: Indices of steps that ask the machine, whose values are not compared.
        imports: Names that imports bind.
        reads: The names that must exist when a statement runs.
    """
    scratch = Scratch(steps, history, namespace, probing, imports)
    kept = {step.index for step in steps}
    finding: Finding | None
    for step in steps:
        if step.index in scratch.failures and step.origin is not RunOrigin.RECOVERED:
            names = step.statement.names
            touched = kept_names.get(step.index) or names.binds.keys() | changed_by(
                step.node, names
            )
            name = min(touched, default="the module")
            finding = refusals.unrepeatable(name, step, scratch.failures[step.index])
            yield Stale(name, step, finding, not step.is_definition)
            continue
        for name in sorted(kept_names.get(step.index, set()) & step.statement.names.binds.keys()):
            verdict: Verdict = None
            finding = None
            if history.is_final(name, step):
                verdict, finding = _judged(name, step, steps, history, namespace, scratch)
            # That a class has the same methods does not make it the same class.
            unsure = isinstance(step.node, ast.ClassDef) and history.doubt(name, step) is not None
            if finding is None and (verdict is None or unsure):
                finding = _touched(name, step, history, kept)
            if finding is not None:
                yield Stale(name, step, finding, not step.is_definition)
    for name, (kept_import, import_step) in imports.items():
        if import_step is None or name not in namespace or not history.is_final(name, import_step):
            continue
        expected = imported_value(kept_import.imported)
        doubt = history.doubt(name, import_step)
        if expected is UNKNOWN and doubt is not None:
            finding = refusals.doubtful(name, import_step, doubt)
            yield Stale(name, import_step, finding, is_value=False)
        elif expected is not UNKNOWN and namespace[name] is not expected:
            finding = refusals.replaced(name, import_step, namespace[name])
            yield Stale(name, import_step, finding, is_value=False)
    bound = {name: kept_import for name, (kept_import, _) in imports.items()}
    known = {name: scratch.values[name] for name in scratch.values if scratch.knows(name)}
    for name, step in differing(steps, bound, probing, reads, known):
        yield Stale(name, step, refusals.elsewhere(name, step), not step.is_definition)


def _judged(
    name: str,
    step: RunStatement,
    steps: Sequence[RunStatement],
    history: History,
    namespace: Mapping[str, object],
    scratch: Scratch,
) -> tuple[Verdict, Finding | None]:
    """Whether the live value is what the source makes, and what to say when it is not."""
    if name not in namespace:
        # A branch that was not taken, as below `if TYPE_CHECKING:`, made nothing.
        gone = refusals.gone(name, step) if surely_binds(step.node, name) else None
        return True, gone
    live = namespace[name]
    if step.is_definition:
        tree = step.statement.cell.tree
        verdict = definition_is(step.node, tree, live)
        changes = history.changes(name, step) if verdict is not True else []
        if verdict is False and isinstance(live, type):
            apart = Replayed(steps).attributes(live, changes)
            verdict = definition_is(step.node, tree, live, apart)
        if verdict is False:
            return False, refusals.redefined(name, step, live)
        difference = scratch.differences.get(step.index)
        if difference is not None:
            changes = history.changes(name, step)
            registered = [each for each in changes if each.is_definition]
            filled = bool(registered) and Replayed(steps).fills(*difference[1:])
            if not filled and len(registered) == len(changes):
                return False, refusals.part_changed(name, step, *difference)
        # Attributes that were set since are not part of the code.
        return (None if history.changes(name, step) else verdict), None
    if is_iterator(live):
        return False, refusals.used_up(name, step, live)
    if not scratch.knows(name):
        return None, None
    made = scratch.values[name]
    verdict = scratch.comparison.same(made, live)
    is_filled = any(each.is_definition for each in history.changes(name, step))
    if verdict is not True and is_filled:
        # A registry must hold what is registered again, and nothing else.
        if Replayed(steps).fills(made, live):
            return None, None
        verdict = False
    if verdict is False and not (_is_blank(made) and _is_late(name, steps)):
        return False, refusals.changed(name, step, made, live, history.changes(name, step))
    return verdict, None


def _touched(name: str, step: RunStatement, history: History, kept: set[float]) -> Finding | None:
    """What may have changed a value that cannot be compared."""
    if step.origin is RunOrigin.RECOVERED:
        return refusals.not_seen(name, step)
    lost = [change for change in history.changes(name, step) if change.index not in kept]
    if lost:
        return refusals.lost_change(name, step, lost[-1])
    doubt = history.doubt(name, step)
    return refusals.doubtful(name, step, doubt) if doubt is not None else None


UNKNOWN = object()


def imported_value(imported: ImportedName) -> object:
    """What an import gives now, as far as it always gives the same; else UNKNOWN."""
    renamed = imported.name or imported.bound != imported.package
    module = sys.modules.get(imported.module if renamed else imported.package)
    if module is None:
        return UNKNOWN
    if not imported.name:
        return module
    # A submodule may not be an attribute yet; a value may be bound anew in its module.
    found = getattr(module, imported.name, UNKNOWN)
    return found if callable(found) or isinstance(found, ModuleType) else UNKNOWN


def _is_blank(value: Any) -> bool:
    """A cache or a late value before its first use: every process begins with it empty."""
    return value is None or (isinstance(value, (dict, list, set)) and not value)


def _is_late(name: str, steps: Sequence[RunStatement]) -> bool:
    """Whether the module's own functions fill `name`, each time only where it is empty."""
    writers = [
        step.node
        for step in steps
        if step.is_definition and any(writes(each, name) for each in ast.walk(step.node))
    ]
    return bool(writers) and all(fills_only_what_is_absent(node, name) for node in writers)
