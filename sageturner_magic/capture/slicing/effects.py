"""Find statements that change what a module uses without binding a name of it.

`sklearn.set_config(…)`, `pd.options.mode.copy_on_write = True`, `@encode.register(int)`,
`Base.register(Foo)`: such statements act on a library, class or function. The slicer keeps those
that it can repeat and names the others.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from sageturner_magic.capture.history import History
from sageturner_magic.capture.runs import RunOrigin, RunStatement
from sageturner_magic.capture.slicing.liveness import definition_is
from sageturner_magic.capture.syntax import (
    BUILTINS,
    CHANGING_METHODS,
    FUNCTIONS,
    SETTINGS,
    Function,
    Judge,
    declared_in,
    listed,
)

_SETTER = re.compile(
    r"_*(?:set|use|enable|disable|register|add|config|seed|manual_seed|filter|simplefilter|ignore"
    r"|reset|default|prefer|allow)(?![a-z])|_*(?:set|add)[A-Z]|configure|basicConfig|pandas$"
)
"""How the names of functions begin that change a library, as against those that show a result."""

_ONCE = re.compile(r"(?:init|install|patch|download|inject)(?![a-z])")
"""The same for changes that are not repeated: they reach out of the process, or wait for input."""

_OUTSIDE = ("IPython", "boto3", "google", "os", "requests", "shutil", "subprocess", "sys")
"""Packages whose functions change other things than a library: files, processes, servers."""

_ELSEWHERE = {"tqdm*.pandas": "pandas"}
"""Calls that change another package than their own."""


@dataclass(frozen=True)
class Effect:
    """One effect of a statement.

    Attributes:
        root: The name on which it acts, as it stands in the statement.
        code: The call, target or decorator.
        named: What the module has to name for the effect to matter to it: a variable of the
            environment, or `__subclasses__`.
        patches: It matters only if the class `root` has the decorated function.
    """

    root: str
    code: ast.expr
    named: str = ""
    patches: bool = False


def effects_of(node: ast.stmt) -> Iterator[Effect]:
    """What `node` changes when it runs, apart from the names that it binds."""
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if isinstance(called, ast.Attribute) and _SETTER.match(called.attr):
                yield from _on(called.value, decorator)
            for each in _classes_named(node, decorator):
                yield Effect(each.id, decorator, patches=True)
        for base in getattr(node, "bases", ()):
            yield from (Effect(each.root, base, "__subclasses__") for each in _on(base, base))
        return
    if isinstance(node, ast.Expr):
        yield from _of_call(node.value)
    elif isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete)):
        targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else [node.target]
        for target in targets:
            if isinstance(target, (ast.Attribute, ast.Subscript)):
                yield from _on(target.value, target)
    for part in ("body", "orelse", "finalbody", "handlers"):
        for each in getattr(node, part, ()):
            if isinstance(each, (ast.stmt, ast.ExceptHandler)):
                yield from effects_of(each)  # type: ignore[arg-type]


def _classes_named(node: ast.stmt, decorator: ast.expr) -> Iterator[ast.Name]:
    """What a decorator may put the function on: `@add_to(Net)`, `@patch` of `f(self: Net)`."""
    if isinstance(node, FUNCTIONS):
        given = decorator.args if isinstance(decorator, ast.Call) else []
        annotated = [each.annotation for each in node.args.args[:1]]
        yield from (each for each in (*given, *annotated) if isinstance(each, ast.Name))


def _of_call(node: ast.expr) -> Iterator[Effect]:
    if not isinstance(node, ast.Call):
        return
    if isinstance(node.func, ast.Name) and node.func.id in ("setattr", "delattr") and node.args:
        yield from _on(node.args[0], node)
    elif isinstance(node.func, ast.Attribute) and _changes(node.func):
        yield from _on(node.func.value, node)
    elif isinstance(node.func, ast.Name) and _SETTER.match(node.func.id):
        # `from sklearn import set_config`
        yield from _on(node.func, node)


def _changes(func: ast.Attribute) -> bool:
    # `plt.rcParams.update(…)`, but not `os.remove(…)`.
    on_data = func.attr in CHANGING_METHODS and not isinstance(func.value, ast.Name)
    return on_data or bool(_SETTER.match(func.attr) or _ONCE.match(func.attr))


def _on(acted: ast.expr, code: ast.expr) -> Iterator[Effect]:
    root: ast.expr = acted
    while isinstance(root, (ast.Attribute, ast.Subscript, ast.Call)):
        root = root.func if isinstance(root, ast.Call) else root.value
    if isinstance(root, ast.Name):
        yield Effect(root.id, code, _variable(acted, code))


def _variable(acted: ast.expr, code: ast.expr) -> str:
    """The name of the environment variable that is set, `?` for one that is computed."""
    if ast.unparse(acted).rpartition(".")[2] != "environ":
        return ""
    keys = [code.slice] if isinstance(code, ast.Subscript) else getattr(code, "args", [])
    key = keys[0] if keys else None
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else "?"


def done_otherwise(step: RunStatement, kept: Collection[RunStatement]) -> bool:
    """Whether `kept` set the attributes and call the functions of `step`, with other values."""
    heads = {_head(each.code) for each in effects_of(step.node)}
    nodes = [node for each in kept for node in ast.walk(each.node)]
    done = {_head(node) for node in nodes if isinstance(node, ast.Call) or _is_stored(node)}
    return bool(heads) and heads <= done


def _head(code: ast.AST) -> str:
    return ast.unparse(code.func if isinstance(code, ast.Call) else code)


def _is_stored(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Store)


def _called(step: RunStatement, history: History) -> Function | None:
    """The function of the notebook that `step` calls for its effect alone: `setup()`."""
    call = step.node.value if isinstance(step.node, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return None
    binder = history.binder(call.func.id, step.index)
    return binder.node if binder and isinstance(binder.node, FUNCTIONS) else None


def _inside(function: Function) -> Iterator[Effect]:
    """What a call of `function` changes beside its own variables."""
    own = declared_in([function.args, *function.body]).bound
    for node in function.body:
        yield from (each for each in effects_of(node) if each.root not in own)


def _last_runs(history: History) -> list[tuple[RunStatement, list[Effect]]]:
    """The statements with an effect; of a cell that ran several times only the last run."""
    seen: set[str] = set()
    found = []
    for step in reversed(history.steps):
        if step.origin in (RunOrigin.FOREIGN, RunOrigin.FAILED):
            continue
        function = _called(step, history)
        effects = [*effects_of(step.node), *(_inside(function) if function else ())]
        text = ast.unparse(step.node) if effects else ""
        if effects and text not in seen:
            seen.add(text)
            found.append((step, effects))
    return found[::-1]


class Effects:
    """Chooses the statements that act on what a module uses, as that grows.

    Attributes:
        candidates: Every statement that has an effect, with its effects.
        left_out: Index -> name and statement, of those that no module can repeat.
    """

    def __init__(
        self,
        history: History,
        judge: Callable[[RunStatement], Judge],
        kept: Mapping[float, RunStatement],
        namespace: Mapping[str, object],
    ) -> None:
        self._history = history
        self._judge = judge
        self._kept = kept
        self._namespace = namespace
        self.candidates = _last_runs(history)
        self.left_out: dict[float, tuple[str, RunStatement]] = {}

    def choose(self, packages: Collection[str]) -> list[tuple[RunStatement, str]]:
        """Statements to keep, with the name on which each acts.

        Args:
            packages: Those that the kept statements import.
        """
        text = "\n".join(line for step in self._kept.values() for line, _ in step.statement.text)
        chosen = []
        for step, effects in self.candidates:
            if step.index in self._kept:
                continue
            root = next(
                (each.root for each in effects if self._on_used(each, step, packages, text)), ""
            )
            if not root:
                continue
            if self._repeats(step) and self._is_available(step, set()):
                self.left_out.pop(step.index, None)
                chosen.append((step, root))
            else:
                self.left_out[step.index] = (root, step)
        return chosen

    def _repeats(self, step: RunStatement) -> bool:
        judge = self._judge(step)
        function = _called(step, self._history)
        if function is None:
            return repeats(step.node, judge)
        call = step.node.value if isinstance(step.node, ast.Expr) else None
        given = [*call.args, *call.keywords] if isinstance(call, ast.Call) else []
        return not given and all(_is_text(each) or repeats(each, judge) for each in function.body)

    def _on_used(
        self, effect: Effect, step: RunStatement, packages: Collection[str], text: str
    ) -> bool:
        binder = self._history.binder(effect.root, step.index)
        if binder is None or effect.named not in text:
            return False
        if effect.patches and not self._has(effect.root, step):
            return False
        if not binder.is_import:
            # In-place changes of plain data are followed with their name.
            changes = self._history.changes(effect.root, binder)
            return binder.index in self._kept and step not in changes
        judge = self._judge(step)
        called = effect.code.func if isinstance(effect.code, ast.Call) else effect.code
        qualified = judge.qualified(called) or judge.qualified(ast.Name(effect.root))
        package = qualified.partition(".")[0]
        elsewhere = {each for pattern, each in _ELSEWHERE.items() if listed(qualified, (pattern,))}
        if elsewhere & set(packages):
            return True
        return package in packages and (bool(effect.named) or package not in _OUTSIDE)

    def _has(self, name: str, step: RunStatement) -> bool:
        """Whether the class `name` has the function that `step` defines."""
        live = self._namespace.get(name)
        members = vars(live).values() if isinstance(live, type) else ()
        tree = step.statement.cell.tree
        return any(
            callable(each) and definition_is(step.node, tree, each) is True for each in members
        )

    def _is_available(self, step: RunStatement, seen: set[float]) -> bool:
        """Whether a module can have all that `step` needs."""
        seen.add(step.index)
        for name in step.statement.names.needed():
            binder = self._history.binder(name, step.index) or self._history.binder(name)
            if binder is None:
                if name not in BUILTINS and name not in self._namespace:
                    return False
            elif not binder.is_import and binder.index not in {*seen, *self._kept}:
                if not self._judge(binder).statement(binder.node):
                    return False
                if not self._is_available(binder, seen):
                    return False
        return True


def repeats(node: ast.stmt, judge: Judge) -> bool:
    """Whether the statement has the same effect wherever the module is imported."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        call = node.value
        if isinstance(call.func, ast.Attribute) and _ONCE.match(call.func.attr):
            return False
        known = isinstance(call.func, ast.Attribute) or bool(judge.qualified(call.func))
        known = known or ast.unparse(call.func) in ("setattr", "delattr")
        parts = [*call.args, *(each.value for each in call.keywords)]
        return known and _reaches(call.func, judge) and all(map(judge.value, parts))
    if isinstance(node, ast.Assign) and _has_call(node.targets):
        return all(_reaches(each, judge) for each in node.targets) and judge.value(node.value)
    return judge.statement(node)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _has_call(targets: list[ast.expr]) -> bool:
    return any(isinstance(each, ast.Call) for target in targets for each in ast.walk(target))


def _reaches(node: ast.expr, judge: Judge) -> bool:
    """Whether an attribute is reached by names, attributes, and calls without effect."""
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Call):
            qualified = judge.qualified(node.func)
            known = bool(qualified) and (listed(qualified, SETTINGS) or judge.value(node))
            if not known or not all(map(judge.value, node.args)):
                return False
            node = node.func
        elif isinstance(node, ast.Subscript):
            if not judge.value(node.slice):
                return False
            node = node.value
        elif isinstance(node, ast.Attribute):
            node = node.value
        else:
            return False
    return True
