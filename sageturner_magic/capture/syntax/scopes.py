"""Find the names that a top-level statement binds and reads, and when.

Python's own scoping rules over the syntax tree. `symtable` knows them too, but not in which
order a class body reads and binds, nor what stands in a string annotation.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sageturner_magic.capture.syntax.safety import CHANGING_METHODS
from sageturner_magic.capture.syntax.trees import (
    Function,
    annotations_of,
    declared_in,
    default_values,
    parameter_names,
    parts,
)

BUILTINS = frozenset(
    {*dir(builtins), "__file__", "__name__", "__doc__", "__path__", "__class__"}
    # What IPython adds.
    - {"display", "get_ipython", "__IPYTHON__"}
)
"""Names that need no binding in a module that a plain Python imports."""


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


def names_of(statement: ast.stmt) -> ScopeNames:
    """The names of one top-level statement."""
    walker = _Walker()
    walker.visit(statement)
    return walker.names


@dataclass
class _Scope:
    kind: str
    bound: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)


class _Walker(ast.NodeVisitor):
    """Walks in evaluation order, so that what is bound so far is known at every read."""

    def __init__(self) -> None:
        self.names = ScopeNames({}, {}, {}, {}, {}, {}, {}, {}, {})
        self._scopes: list[_Scope] = [_Scope("module")]
        self._classes: list[str] = []
        self._deferred = 0
        self._soft = 0
        self._annotating = 0

    def generic_visit(self, node: ast.AST) -> None:
        self._visit_all(parts(node))

    def visit_Constant(self, node: ast.Constant) -> None:
        """Names nothing; what the base class does here for old trees takes long."""

    # --- names ---

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._read(node.id, node.lineno)
        elif isinstance(node.ctx, ast.Store):
            self._bind(node.id, node.lineno)
        else:
            self._unbind(node.id, node.lineno)

    def _mangled(self, name: str) -> str:
        if self._classes and name.startswith("__") and not name.endswith("__"):
            return f"_{self._classes[-1].lstrip('_')}{name}"
        return name

    def _is_local(self, name: str) -> bool:
        """Whether `name` is bound where it is used, so that it is not the module's."""
        innermost = len(self._scopes) - 1
        for depth in range(innermost, 0, -1):
            scope = self._scopes[depth]
            if scope.kind == "class" and depth != innermost:
                continue
            if name in scope.globals:
                return False
            if name in scope.bound:
                return True
        return not self._deferred and name in self._scopes[0].bound

    def _read(self, name: str, line: int) -> None:
        name = self._mangled(name)
        if self._is_local(name):
            return
        if self._soft:
            into = self.names.soft
        elif self._annotating and not self._deferred:
            into = self.names.annotated
        elif self._deferred:
            into = self.names.later
        else:
            into = self.names.reads
        into.setdefault(name, line)

    def _bind(self, name: str, line: int) -> None:
        name = self._mangled(name)
        depth = len(self._scopes) - 1
        while self._scopes[depth].kind == "comprehension":
            depth -= 1
        scope = self._scopes[depth]
        if scope.kind == "module" or name in scope.globals:
            target = self.names.writes_later if self._deferred else self.names.binds
            target.setdefault(name, line)
            if not self._deferred:
                self._scopes[0].bound.add(name)
        elif scope.kind == "class":
            scope.bound.add(name)

    def _unbind(self, name: str, line: int) -> None:
        scope = self._scopes[-1]
        if scope.kind == "module":
            self.names.deletes.setdefault(name, line)
            scope.bound.discard(name)
        elif scope.kind == "class":
            scope.bound.discard(name)

    def _change(self, target: ast.expr) -> None:
        root = target
        while isinstance(root, (ast.Attribute, ast.Subscript, ast.Starred)):
            root = root.value
        if isinstance(root, ast.Name) and len(self._scopes) == 1:
            self.names.changes.setdefault(root.id, root.lineno)
        self._change_later(root)

    def _change_later(self, target: ast.expr) -> None:
        while isinstance(target, (ast.Attribute, ast.Subscript, ast.Starred)):
            target = target.value
        if self._deferred and isinstance(target, ast.Name) and not self._is_local(target.id):
            self.names.changes_later.setdefault(target.id, target.lineno)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._change(node)
        self.visit(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._change(node)
        self.visit(node.value)
        self.visit(node.slice)

    # --- statements whose parts are evaluated in another order than they are written ---

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        self._visit_all(node.targets)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._read(node.target.id, node.lineno)
            self._change(node.target)
        self.visit(node.value)
        self.visit(node.target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        unused = self._scopes[-1].kind == "function"
        self._soft += unused
        self._annotation(node.annotation)
        self._soft -= unused
        if node.value is not None:
            self.visit(node.value)
            self.visit(node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self.visit(node.target)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self.visit(node.target)
        self._visit_all([*node.body, *node.orelse])

    visit_AsyncFor = visit_For

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._bind(alias.asname or alias.name.partition(".")[0], node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name != "*":
                self._bind(alias.asname or alias.name, node.lineno)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None:
            self.visit(node.type)
        if node.name is not None:
            self._bind(node.name, node.lineno)
        self._visit_all(node.body)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self.generic_visit(node)
        if node.name is not None:
            self._bind(node.name, node.lineno)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name is not None:
            self._bind(node.name, node.lineno)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.generic_visit(node)
        if node.rest is not None:
            self._bind(node.rest, node.lineno)

    def visit_Global(self, node: ast.Global) -> None:
        if len(self._scopes) == 1:
            return
        for name in node.names:
            self._scopes[-1].globals.add(self._mangled(name))

    # --- scopes ---

    def visit_FunctionDef(self, node: Function) -> None:
        self._visit_all(node.decorator_list)
        self._visit_all(default_values(node.args))
        parameters = getattr(node, "type_params", [])
        with_types = bool(parameters)
        if with_types:
            self._enter_type_parameters(parameters)
        for annotation in annotations_of(node.args, node.returns):
            self._annotation(annotation)
        self._function(parameter_names(node.args), node.body)
        if with_types:
            self._scopes.pop()
        self._bind(node.name, node.lineno)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_all(default_values(node.args))
        self._function(parameter_names(node.args), [node.body])

    def visit_Call(self, node: ast.Call) -> None:
        """A lambda that is called where it stands reads now what it reads."""
        if isinstance(node.func, ast.Lambda):
            arguments = node.func.args
            self._visit_all(default_values(arguments))
            self._in_function(parameter_names(arguments), [node.func.body])
            self._visit_all([*node.args, *node.keywords])
            return
        if isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING_METHODS:
            self._change_later(node.func.value)
        self.generic_visit(node)

    def _function(self, parameters: Iterable[str], body: Sequence[ast.AST]) -> None:
        self._deferred += 1
        self._in_function(parameters, body)
        self._deferred -= 1

    def _in_function(self, parameters: Iterable[str], body: Sequence[ast.AST]) -> None:
        declared = declared_in(body)
        bound = {*parameters, *declared.bound} - declared.globals - declared.nonlocals
        scope = _Scope("function", set(map(self._mangled, bound)))
        scope.globals.update(map(self._mangled, declared.globals))
        self._scopes.append(scope)
        self._visit_all(body)
        self._scopes.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._visit_all(node.decorator_list)
        parameters = getattr(node, "type_params", [])
        if parameters:
            self._enter_type_parameters(parameters)
        self._visit_all([*node.bases, *[keyword.value for keyword in node.keywords]])
        self._scopes.append(_Scope("class", {"__module__", "__qualname__"}))
        self._classes.append(node.name)
        self._visit_all(node.body)
        self._classes.pop()
        self._scopes.pop()
        if parameters:
            self._scopes.pop()
        self._bind(node.name, node.lineno)

    def visit_TypeAlias(self, node: ast.AST) -> None:
        parameters: list[ast.AST] = getattr(node, "type_params", [])
        self._enter_type_parameters(parameters)
        self._deferred += 1
        self.visit(getattr(node, "value"))  # noqa: B009 - the type exists from Python 3.12 on
        self._deferred -= 1
        self._scopes.pop()
        self.visit(getattr(node, "name"))  # noqa: B009

    def _enter_type_parameters(self, parameters: Sequence[ast.AST]) -> None:
        scope = _Scope("function", {str(getattr(each, "name", "")) for each in parameters})
        self._scopes.append(scope)
        self._deferred += 1
        for each in parameters:
            for part in ("bound", "default_value"):
                value = getattr(each, part, None)
                if isinstance(value, ast.AST):
                    self.visit(value)
        self._deferred -= 1

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> None:
        self._comprehension(node.generators, [node.elt])

    visit_SetComp = visit_ListComp
    # Most are used up at once, by sum() or join(): what they read is read now.
    visit_GeneratorExp = visit_ListComp

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node.generators, [node.key, node.value])

    def _comprehension(self, generators: list[ast.comprehension], results: list[ast.expr]) -> None:
        self.visit(generators[0].iter)
        scope = _Scope("comprehension")
        for generator in generators:
            scope.bound |= {
                child.id for child in ast.walk(generator.target) if isinstance(child, ast.Name)
            }
        self._scopes.append(scope)
        for index, generator in enumerate(generators):
            if index:
                self.visit(generator.iter)
            self._visit_all(generator.ifs)
        self._visit_all(results)
        self._scopes.pop()

    # --- annotations ---

    def _annotation(self, node: ast.expr) -> None:
        self._annotating += 1
        self._annotated(node)
        self._annotating -= 1

    def _annotated(self, node: ast.expr) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                parsed = ast.parse(node.value.strip(), mode="eval")
            except (SyntaxError, ValueError):
                return
            for child in ast.walk(parsed):
                if hasattr(child, "lineno"):
                    child.lineno = node.lineno
            self._soft += 1
            self.visit(parsed.body)
            self._soft -= 1
            return
        if (
            isinstance(node, ast.Subscript)
            and ast.unparse(node.value).rpartition(".")[2] != "Literal"
        ):
            self.visit(node.value)
            inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            for each in inner:
                self._annotated(each)
        elif isinstance(node, ast.BinOp):
            self._annotated(node.left)
            self._annotated(node.right)
        elif isinstance(node, (ast.List, ast.Tuple)):
            for each in node.elts:
                self._annotated(each)
        else:
            self.visit(node)

    def _visit_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)
