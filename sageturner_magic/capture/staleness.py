"""Finds what the notebook changed behind the back of the source.

The constants of the module are made once more from their source, beside the notebook's own, and
compared; functions and classes are compared with the code that their source compiles to.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sageturner_magic.capture import refusals
from sageturner_magic.capture.history import History, Origin, Step, surely_binds
from sageturner_magic.capture.liveness import Comparison, definition_is, is_iterator
from sageturner_magic.capture.rendering import KeptImport
from sageturner_magic.capture.safety import CHANGING_METHODS
from sageturner_magic.capture.statements import imported_names
from sageturner_magic.errors import Finding


def stale_findings(
    steps: Sequence[Step],
    kept_names: Mapping[int, set[str]],
    history: History,
    namespace: Mapping[str, object],
    probing: set[int],
    imports: Mapping[str, tuple[KeptImport, Step | None]],
) -> Iterator[tuple[str, Finding]]:
    """Name and finding for all that the module would have otherwise than the notebook has it.

    Args:
        steps: The statements of the module, in their order.
        kept_names: Index of a step -> the names that it is kept for.
        probing: Indices of steps that ask the machine, whose values are not compared.
        imports: Names that imports bind.
    """
    scratch = _Scratch(steps, history, namespace, probing, imports)
    for step in steps:
        for name in sorted(kept_names.get(step.index, ())):
            if name not in step.statement.names.binds or history.is_final(name, step) is False:
                if step.origin is Origin.RECOVERED and name in step.statement.names.binds:
                    yield name, refusals.not_seen(name, step)
                continue
            finding = _check(name, step, history, namespace, scratch)
            if finding is not None:
                yield name, finding
    for name, (kept, import_step) in imports.items():
        if import_step is None or name not in namespace or not history.is_final(name, import_step):
            continue
        if not kept.imported.name:
            path = kept.imported.module
            dotted = path if kept.imported.bound != kept.imported.package else kept.imported.package
            module = sys.modules.get(dotted)
            if module is not None and namespace[name] is not module:
                yield name, refusals.replaced(name, import_step, namespace[name])


def _check(
    name: str,
    step: Step,
    history: History,
    namespace: Mapping[str, object],
    scratch: _Scratch,
) -> Finding | None:
    if name not in namespace:
        # A branch that was not taken, as below `if TYPE_CHECKING:`, made nothing.
        return refusals.gone(name, step) if surely_binds(step.node, name) else None
    live = namespace[name]
    if step.is_definition:
        verdict = definition_is(step.node, step.statement.cell.tree, live)
        if verdict is False:
            return refusals.redefined(name, step, live)
        if verdict is None and step.origin is Origin.RECOVERED:
            return refusals.not_seen(name, step)
        return None
    if is_iterator(live):
        return refusals.used_up(name, step, live)
    if not scratch.knows(name):
        return refusals.not_seen(name, step) if step.origin is Origin.RECOVERED else None
    made = scratch.values[name]
    verdict = scratch.comparison.same(made, live)
    if verdict is False and not (_is_blank(made) and scratch.is_late(name)):
        return refusals.changed(name, step, made, live, history.changes(name, step))
    if verdict is None and step.origin is Origin.RECOVERED:
        return refusals.not_seen(name, step)
    return None


def _is_blank(value: Any) -> bool:
    """A cache or a late value before its first use: every process begins with it empty."""
    return value is None or (isinstance(value, (dict, list, set)) and not value)


class _Scratch:
    """A namespace in which the constants of the module are made again."""

    def __init__(
        self,
        steps: Sequence[Step],
        history: History,
        namespace: Mapping[str, object],
        probing: set[int],
        imports: Mapping[str, tuple[KeptImport, Step | None]],
    ) -> None:
        self._steps = steps
        self._unknown: set[str] = set()
        self.comparison = Comparison()
        self.values: dict[str, Any] = {"__name__": "sageturner"}
        for kept, _ in imports.values():
            self._import(kept)
        for step in steps:
            self._repeat(step, history, namespace, step.index in probing)

    def knows(self, name: str) -> bool:
        return name in self.values and name not in self._unknown

    def is_late(self, name: str) -> bool:
        """Whether the module's own functions fill `name`, each time only where it is empty."""
        writers = [
            step.node
            for step in self._steps
            if step.is_definition and any(_writes(each, name) for each in ast.walk(step.node))
        ]
        return bool(writers) and all(_fills_only_what_is_absent(node, name) for node in writers)

    def _import(self, kept: KeptImport) -> None:
        imported = kept.imported
        if imported.module == "__future__" or imported.module not in sys.modules:
            return
        try:
            exec(str(imported), self.values)
        except ImportError:
            self._unknown.add(imported.bound)

    def _repeat(
        self, step: Step, history: History, namespace: Mapping[str, object], probes: bool
    ) -> None:
        names = step.statement.names
        touched = names.binds.keys() | names.changes.keys()
        if step.is_definition:
            name = next(iter(names.binds))
            if history.is_final(name, step) and name in namespace:
                self.values[name] = namespace[name]
                self._unknown.discard(name)
            else:
                self._unknown.add(name)
            return
        needs = names.reads.keys() | names.changes.keys()
        on_live = any(self.values.get(name, self) is namespace.get(name) for name in names.changes)
        effect = isinstance(step.node, ast.Expr) and not _changes_data(step.node)
        unknown = any(name in self._unknown for name in needs)
        if probes or unknown or on_live or effect or _imports_unloaded(step.node):
            self._unknown |= touched
            return
        module = ast.Module([step.node], [])
        try:
            exec(compile(module, "<capture>", "exec", dont_inherit=True), self.values)
        except Exception:
            self._unknown |= touched
        else:
            self._unknown -= names.binds.keys()
            for name in names.binds:
                live = namespace.get(name)
                if (
                    isinstance(live, type)
                    and Comparison().same(self.values.get(name), live) is not False
                ):
                    # What is made of a class must be of the notebook's own to compare.
                    self.values[name] = live


def _changes_data(node: ast.Expr) -> bool:
    call = node.value
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in CHANGING_METHODS - {"setLevel"}
    )


def _imports_unloaded(node: ast.stmt) -> bool:
    """Whether repeating the statement would import something that is not loaded."""
    return any(
        imported.module not in sys.modules
        for each in ast.walk(node)
        if isinstance(each, (ast.Import, ast.ImportFrom))
        for imported in imported_names(each)
    )


def _fills_only_what_is_absent(node: ast.AST, name: str, *, absent: bool = False) -> bool:
    """Whether each write to `name` below `node` stands under a test that it is not there yet.

    As caches and late values have it: `if x is None: x = …`, `if key not in x: x[key] = …`.
    """
    if not absent and _writes(node, name):
        return False
    if isinstance(node, ast.If) and _tests_absence(node.test, name):
        return all(
            _fills_only_what_is_absent(each, name, absent=each in node.body)
            for each in [*node.body, *node.orelse]
        )
    return all(
        _fills_only_what_is_absent(each, name, absent=absent) for each in ast.iter_child_nodes(node)
    )


def _tests_absence(test: ast.expr, name: str) -> bool:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return isinstance(test.operand, ast.Name) and test.operand.id == name
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return False
    side = test.left if isinstance(test.ops[0], ast.Is) else test.comparators[0]
    asks = isinstance(test.ops[0], ast.NotIn) or (
        isinstance(test.ops[0], ast.Is)
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value is None
    )
    return asks and isinstance(side, ast.Name) and side.id == name


def _writes(node: ast.AST, name: str) -> bool:
    target: ast.AST | None = None
    if isinstance(node, (ast.Name, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
        target = node.value if isinstance(node, ast.Subscript) else node
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        target = node.func.value if node.func.attr in CHANGING_METHODS else None
    return isinstance(target, ast.Name) and target.id == name
