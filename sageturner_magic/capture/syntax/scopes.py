"""Find the names that a top-level statement binds and reads, and when.

Python's own scoping rules over the syntax tree. `symtable` knows them too, but not in which
order a class body reads and binds, nor what stands in a string annotation.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Sequence

from sageturner_magic.capture.syntax.safety import CHANGING_METHODS
from sageturner_magic.capture.syntax.scope_stack import Scope, ScopeNames, ScopeStack
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


def names_of(statement: ast.stmt) -> ScopeNames:
    """The names of one top-level statement."""
    walker = _Walker()
    walker.visit(statement)
    return walker.stack.names


class _Walker(ast.NodeVisitor):
    """Walks in evaluation order, so that what is bound so far is known at every read."""

    def __init__(self) -> None:
        self.stack = ScopeStack()

    def generic_visit(self, node: ast.AST) -> None:
        self._visit_all(parts(node))

    def visit_Constant(self, node: ast.Constant) -> None:
        """Names nothing; what the base class does here for old trees takes long."""

    # --- names ---

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.stack.read(node.id, node.lineno)
        elif isinstance(node.ctx, ast.Store):
            self.stack.bind(node.id, node.lineno)
        else:
            self.stack.unbind(node.id, node.lineno)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.stack.change(node)
        self.visit(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.stack.change(node)
        self.visit(node.value)
        self.visit(node.slice)

    # --- statements whose parts are evaluated in another order than they are written ---

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        self._visit_all(node.targets)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.stack.read(node.target.id, node.lineno)
            self.stack.change(node.target)
        self.visit(node.value)
        self.visit(node.target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        unused = self.stack.scopes[-1].kind == "function"
        self.stack.soft += unused
        self._annotation(node.annotation)
        self.stack.soft -= unused
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
            self.stack.bind(alias.asname or alias.name.partition(".")[0], node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name != "*":
                self.stack.bind(alias.asname or alias.name, node.lineno)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None:
            self.visit(node.type)
        if node.name is not None:
            self.stack.bind(node.name, node.lineno)
        self._visit_all(node.body)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self.generic_visit(node)
        if node.name is not None:
            self.stack.bind(node.name, node.lineno)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name is not None:
            self.stack.bind(node.name, node.lineno)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.generic_visit(node)
        if node.rest is not None:
            self.stack.bind(node.rest, node.lineno)

    def visit_Global(self, node: ast.Global) -> None:
        if len(self.stack.scopes) == 1:
            return
        for name in node.names:
            self.stack.scopes[-1].globals.add(self.stack.mangled(name))

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
            self.stack.scopes.pop()
        self.stack.bind(node.name, node.lineno)

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
            self.stack.change_later(node.func.value)
        self.generic_visit(node)

    def _function(self, parameters: Iterable[str], body: Sequence[ast.AST]) -> None:
        self.stack.deferred += 1
        self._in_function(parameters, body)
        self.stack.deferred -= 1

    def _in_function(self, parameters: Iterable[str], body: Sequence[ast.AST]) -> None:
        declared = declared_in(body)
        bound = {*parameters, *declared.bound} - declared.globals - declared.nonlocals
        scope = Scope("function", set(map(self.stack.mangled, bound)))
        scope.globals.update(map(self.stack.mangled, declared.globals))
        self.stack.scopes.append(scope)
        self._visit_all(body)
        self.stack.scopes.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._visit_all(node.decorator_list)
        parameters = getattr(node, "type_params", [])
        if parameters:
            self._enter_type_parameters(parameters)
        self._visit_all([*node.bases, *[keyword.value for keyword in node.keywords]])
        self.stack.scopes.append(Scope("class", {"__module__", "__qualname__"}))
        self.stack.classes.append(node.name)
        self._visit_all(node.body)
        self.stack.classes.pop()
        self.stack.scopes.pop()
        if parameters:
            self.stack.scopes.pop()
        self.stack.bind(node.name, node.lineno)

    def visit_TypeAlias(self, node: ast.AST) -> None:
        parameters: list[ast.AST] = getattr(node, "type_params", [])
        self._enter_type_parameters(parameters)
        self.stack.deferred += 1
        self.visit(getattr(node, "value"))  # noqa: B009 - the type exists from Python 3.12 on
        self.stack.deferred -= 1
        self.stack.scopes.pop()
        self.visit(getattr(node, "name"))  # noqa: B009

    def _enter_type_parameters(self, parameters: Sequence[ast.AST]) -> None:
        scope = Scope("function", {str(getattr(each, "name", "")) for each in parameters})
        self.stack.scopes.append(scope)
        self.stack.deferred += 1
        for each in parameters:
            for part in ("bound", "default_value"):
                value = getattr(each, part, None)
                if isinstance(value, ast.AST):
                    self.visit(value)
        self.stack.deferred -= 1

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> None:
        self._comprehension(node.generators, [node.elt])

    visit_SetComp = visit_ListComp
    # Most are used up at once, by sum() or join(): what they read is read now.
    visit_GeneratorExp = visit_ListComp

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node.generators, [node.key, node.value])

    def _comprehension(self, generators: list[ast.comprehension], results: list[ast.expr]) -> None:
        self.visit(generators[0].iter)
        scope = Scope("comprehension")
        for generator in generators:
            scope.bound |= {
                child.id for child in ast.walk(generator.target) if isinstance(child, ast.Name)
            }
        self.stack.scopes.append(scope)
        for index, generator in enumerate(generators):
            if index:
                self.visit(generator.iter)
            self._visit_all(generator.ifs)
        self._visit_all(results)
        self.stack.scopes.pop()

    # --- annotations ---

    def _annotation(self, node: ast.expr) -> None:
        self.stack.annotating += 1
        self._annotated(node)
        self.stack.annotating -= 1

    def _annotated(self, node: ast.expr) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                parsed = ast.parse(node.value.strip(), mode="eval")
            except (SyntaxError, ValueError):
                return
            for child in ast.walk(parsed):
                if hasattr(child, "lineno"):
                    child.lineno = node.lineno
            self.stack.soft += 1
            self.visit(parsed.body)
            self.stack.soft -= 1
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
