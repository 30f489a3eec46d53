"""Run a module's constants from their source, to compare them with the notebook's."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sageturner_magic.capture.history import History
from sageturner_magic.capture.runs import RunOrigin, RunStatement
from sageturner_magic.capture.slicing.liveness import Comparison, definition_is, plain_function
from sageturner_magic.capture.syntax import (
    CHANGING_METHODS,
    FUNCTIONS,
    Function,
    Judge,
    KeptImport,
    changed_by,
    walk,
)
from sageturner_magic.packages.needed import imported_names


class Scratch:
    """A namespace in which the constants are made again, in the order of the module.

    Functions and classes are not: decorators may register them somewhere. The notebook's own
    stand in for them, and their default values and attributes are compared one by one.

    Attributes:
        values: Name -> what its source makes.
        differences: Index of a definition -> (what of it, what its source makes, what it is).
        failures: Index of a statement that went well in the notebook -> what it raises here.
    """

    def __init__(
        self,
        steps: Sequence[RunStatement],
        history: History,
        namespace: Mapping[str, object],
        probing: set[float],
        imports: Mapping[str, tuple[KeptImport, RunStatement | None]],
    ) -> None:
        self._history = history
        self._namespace = namespace
        self._unknown: set[str] = set()
        self._changing: set[str] = set()
        self.comparison = Comparison()
        self.values: dict[str, Any] = {"__name__": "sageturner"}
        self.differences: dict[float, tuple[str, Any, Any]] = {}
        self.failures: dict[float, Exception] = {}
        for kept, _ in imports.values():
            self._import(kept)
        for step in steps:
            if step.is_definition:
                self._stand_in(step)
            elif step.origin is RunOrigin.KEPT:
                names = step.statement.names.binds
                self.values.update({name: namespace[name] for name in names if name in namespace})
            else:
                self._repeat(step, probes=step.index in probing)

    def _is_registered(self, name: str) -> bool:
        binder = self._history.binder(name)
        return binder is not None and any(
            change.is_definition for change in self._history.changes(name, binder)
        )

    def knows(self, name: str) -> bool:
        """Whether `values` has what the source of `name` makes."""
        return name in self.values and name not in self._unknown

    def _import(self, kept: KeptImport) -> None:
        imported = kept.imported
        if imported.module == "__future__" or imported.module not in sys.modules:
            return
        try:
            exec(str(imported), self.values)
        except ImportError:
            self._unknown.add(imported.bound)

    def _stand_in(self, step: RunStatement) -> None:
        name = next(iter(step.statement.names.binds))
        if name not in self._namespace or not self._history.is_final(name, step):
            self._unknown.add(name)
            return
        live = self._namespace[name]
        for what, source, value in _parts(step.node, live):
            if not self._can_make(source, step):
                continue
            try:
                made = self._make(source)
            except Exception:
                continue
            if self.comparison.same(made, value) is False:
                self.differences.setdefault(step.index, (what, made, value))
        self.values[name] = live
        self._unknown.discard(name)
        if self._history.changes(name, step):
            # The notebook has it as it is at the end, not as the next statements had it.
            self._changing.add(name)

    def _can_make(self, source: ast.expr, step: RunStatement) -> bool:
        judge = Judge(lambda name: self._history.qualified(name, step.index))
        names = {each.id for each in walk(source) if isinstance(each, ast.Name)}
        # The call of a function would run the notebook's code.
        calls = any(judge.calls_notebook(name) for name in names)
        return judge.value(source) and not judge.probes and not calls and not names & self._unknown

    def _make(self, source: ast.expr) -> Any:
        # Most default values are one of these, and to compile anything takes long.
        if isinstance(source, ast.Constant):
            return source.value
        if isinstance(source, ast.Name) and source.id in self.values:
            return self.values[source.id]
        code = compile(ast.Expression(source), "<capture>", "eval", dont_inherit=True)
        return eval(code, dict(self.values))

    def _repeat(self, step: RunStatement, *, probes: bool) -> None:
        names = step.statement.names
        changed = changed_by(step.node, names)
        touched = names.binds.keys() | changed
        on_live = any(self.values.get(name, self) is self._namespace.get(name) for name in changed)
        unknown = (names.reads.keys() | changed) & (self._unknown | self._changing)
        if probes or unknown or on_live or _has_effect(step.node) or _imports_unloaded(step.node):
            self._unknown |= touched
            return
        try:
            exec(step.statement.code, self.values)
        except NameError:
            # Something that is not made here, such as what a decorator registers.
            self._unknown |= touched
            return
        except Exception as error:
            self._unknown |= touched
            # What definitions register is not made here.
            if not any(map(self._is_registered, changed)):
                self.failures[step.index] = error
            return
        self._unknown -= names.binds.keys()
        for name in names.binds:
            live = self._namespace.get(name)
            made = self.values.get(name)
            if isinstance(live, type) and Comparison().same(made, live) is not False:
                # What is made of a class must be of the notebook's own to compare.
                self.values[name] = live


def may_have_made(step: RunStatement, value: Any) -> bool:
    """Whether the definition `step` can be the one that made `value`."""
    node = step.node
    return bool(
        step.is_definition and definition_is(node, step.statement.cell.tree, value)
    ) and not any(
        isinstance(source, ast.Constant) and Comparison().same(source.value, live) is False
        for _, source, live in _parts(node, value)
    )


def _parts(node: ast.stmt, live: Any) -> Iterator[tuple[str, ast.expr, Any]]:
    """Values that were made when a definition ran: what, its source, what it is now."""
    if isinstance(node, FUNCTIONS):
        yield from _defaults(node, live)
    elif isinstance(node, ast.ClassDef) and type(live) is type and not node.decorator_list:
        # A class that a decorator or metaclass made may hold its values in other ways.
        worked_on = {name for each in node.body for name in _worked_on(each)}
        for each in node.body:
            if isinstance(each, FUNCTIONS):
                yield from _defaults(each, vars(live).get(each.name))
            if not isinstance(each, (ast.Assign, ast.AnnAssign)) or each.value is None:
                continue
            target = each.targets[0] if isinstance(each, ast.Assign) else each.target
            if not isinstance(target, ast.Name) or target.id not in vars(live).keys() - worked_on:
                continue
            value = vars(live)[target.id]
            # The fields of a NamedTuple or of __slots__ have become something else.
            if not hasattr(type(value), "__get__"):
                yield f"{node.name}.{target.id}", each.value, value


def _worked_on(part: ast.stmt) -> Iterator[str]:
    """Names of a class that a statement of its body works on, as a loop that fills one."""
    if isinstance(part, (*FUNCTIONS, ast.ClassDef, ast.Assign, ast.AnnAssign)):
        return
    yield from (each.id for each in ast.walk(part) if isinstance(each, ast.Name))


def _defaults(node: Function, live: Any) -> Iterator[tuple[str, ast.expr, Any]]:
    function = plain_function(live)
    if function is None:
        return
    positional = [*node.args.posonlyargs, *node.args.args]
    values = function.__defaults__ or ()
    if len(values) == len(node.args.defaults):
        names = positional[len(positional) - len(values) :]
        for argument, source, value in zip(names, node.args.defaults, values, strict=True):
            yield f"the default of `{argument.arg}`", source, value
    keywords = function.__kwdefaults__ or {}
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if default is not None and argument.arg in keywords:
            yield f"the default of `{argument.arg}`", default, keywords[argument.arg]


def _has_effect(node: ast.stmt) -> bool:
    """Whether the statement is a call that does more than change data."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    func = node.value.func
    changes_data = CHANGING_METHODS - {"setLevel"}
    return not (isinstance(func, ast.Attribute) and func.attr in changes_data)


def _imports_unloaded(node: ast.stmt) -> bool:
    """Whether repeating the statement would import something that is not loaded."""
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)):
        # Only statements that hold others can hold an import.
        return False
    return any(
        imported.module not in sys.modules
        for each in ast.walk(node)
        if isinstance(each, (ast.Import, ast.ImportFrom))
        for imported in imported_names(each)
    )
