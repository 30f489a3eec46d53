"""Split a cell into its top-level statements, each with its text and its names."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from types import CodeType

from sageturner_magic.capture.cells import Cell
from sageturner_magic.capture.syntax.scope_stack import ScopeNames
from sageturner_magic.capture.syntax.scopes import names_of
from sageturner_magic.capture.syntax.trees import FUNCTIONS, walk
from sageturner_magic.values import CellLine


@dataclass(frozen=True, eq=False)
class Statement:
    """One top-level statement of one run of a cell.

    Attributes:
        cell: The cell it stands in.
        node: Its syntax tree.
        start: The first line of its text, from 1: of the comment directly above, the decorators.
        end: The last line of its text.
        needs: Names that it needs without naming them, as the classes of what it unpickles.
    """

    cell: Cell
    node: ast.stmt
    start: int
    end: int
    needs: tuple[str, ...] = ()

    @cached_property
    def names(self) -> ScopeNames:
        """What it binds and reads."""
        found = names_of(self.node)
        found.reads.update(dict.fromkeys(self.needs, self.node.lineno))
        return found

    @cached_property
    def is_import(self) -> bool:
        return isinstance(self.node, (ast.Import, ast.ImportFrom))

    @cached_property
    def is_definition(self) -> bool:
        """Whether it defines a function or a class."""
        return isinstance(self.node, (*FUNCTIONS, ast.ClassDef))

    @property
    def gives_a_callable(self) -> bool:
        """Whether what it binds may be a function or class of the notebook's, or another's name."""
        value = self.node.value if isinstance(self.node, (ast.Assign, ast.AnnAssign)) else None
        return self.is_definition or isinstance(value, (ast.Lambda, ast.Name))

    @cached_property
    def code(self) -> CodeType:
        """Its code when it is compiled on its own."""
        tree = ast.Module([self.node], [])
        return compile(tree, "<capture>", "exec", dont_inherit=True)

    @cached_property
    def calls(self) -> bool:
        """Whether it calls anything when it runs, so that functions which it names may run."""
        return _calls_when_it_runs(self.node)

    @property
    def place(self) -> CellLine:
        """Where its code begins, for messages."""
        return self.cell.line(self.node.lineno)

    @property
    def first_line(self) -> str:
        """The line on which its code begins, as typed."""
        return self.cell.source.split("\n")[self.node.lineno - 1]

    @cached_property
    def text(self) -> tuple[tuple[str, int], ...]:
        """Its lines as typed, each with its number in the cell."""
        lines = self.cell.python.split("\n")
        first, last = lines[self.node.lineno - 1], lines[self.end - 1]
        before = first.encode()[: self.node.col_offset].strip()
        after = last.encode()[self.node.end_col_offset or 0 :].strip()
        if before or (after and not after.startswith(b"#")):
            # It shares a line with another statement: `a = 1; b = 2`.
            segment = ast.get_source_segment(self.cell.python, self.node) or ""
            return tuple(
                (line, self.node.lineno + offset) for offset, line in enumerate(segment.split("\n"))
            )
        numbered = list(enumerate(lines[self.start - 1 : self.end], self.start))
        indent = first[: len(first) - len(first.lstrip())]
        if indent and any(_spans_lines(each) for each in walk(self.node)):
            # The lines of a string must not move.
            numbered = [(self.start, line) for line in ast.unparse(self.node).split("\n")]
        return tuple((line.removeprefix(indent), number) for number, line in numbered)


def _spans_lines(node: ast.AST) -> bool:
    return isinstance(node, (ast.Constant, ast.JoinedStr)) and node.lineno != node.end_lineno


@dataclass(frozen=True)
class _Written(Cell):
    """Source that was written in place of a statement: each line comes from where that stands."""

    def line(self, line: int) -> CellLine:
        return CellLine(self.number, self.first_line)


def written(source: str, place: CellLine, needs: Iterable[str] = ()) -> Statement:
    """The statement that `source`, with a comment above it, puts in the place of one of a cell."""
    cell = _Written(place.cell, source, place.line)
    return replace(statements_of(cell)[0], needs=tuple(needs))


def _flat(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """`body`, with what stands below `if __name__ == "__main__":` in its place, as it runs."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            yield from _flat(node.body)
        else:
            yield node


def _calls_when_it_runs(node: ast.stmt) -> bool:
    if isinstance(node, FUNCTIONS):
        parts = [*node.args.defaults, *node.args.kw_defaults, node.returns]
        parts += [argument.annotation for argument in node.args.args]
        calls = any(isinstance(each, ast.Call) for part in parts if part for each in walk(part))
        return calls or bool(node.decorator_list)
    if isinstance(node, ast.ClassDef):
        return True
    return any(isinstance(each, ast.Call) for each in walk(node))


@lru_cache(maxsize=4096)
def statements_of(cell: Cell) -> tuple[Statement, ...]:
    """The statements of `cell`, in order; none when it holds no Python that parses."""
    if not cell.runs_code():
        return ()
    lines = cell.python.split("\n")
    found: list[Statement] = []
    previous_end = 0
    for node in _flat(cell.tree.body):
        decorators = getattr(node, "decorator_list", [])
        start = min([node.lineno, *(each.lineno for each in decorators)])
        while start - 1 > previous_end and lines[start - 2].startswith("#"):
            start -= 1
        end = node.end_lineno or node.lineno
        found.append(Statement(cell, node, start, end))
        previous_end = end
    return tuple(found)
