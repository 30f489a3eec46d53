"""Read a cell as it was typed, and its Python without IPython's own lines."""

from __future__ import annotations

import ast
import linecache
import math
import opcode
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType

from sageturner_magic.values import CellLine

# `%magic`, `!command`, `?help` at the start of a statement, and `x = %magic`, `x = !command`.
_SHELL_LINE = re.compile(r"^(?P<indent>\s*)(?P<target>[^\s%!?#'\"(\[{][^'\"#(=]*=\s*)?[%!?]+\s*\w")
_RUN = re.compile(r"^%run\s+(?:-\w\s+)*(?P<file>[^\s'\"]+\.py)(?:\s|$)")
_HELP_LINE = re.compile(r"^\s*[\w.]+\?{1,2}\s*$")

# Cell magics whose body runs as Python in the notebook's own namespace.
_TRANSPARENT_MAGICS = frozenset({"capture", "prun", "time", "debug"})
_CELL_MAGIC = re.compile(r"\n*%%(?P<any>\w+)")
# Comments may stand above our own (notebook/completion/first_line.py).
_OUR_MAGIC = re.compile(r"(?:[^\S\n]*(?:#.*)?\n)*%%(?P<any>sageturner\w*)")


@dataclass(frozen=True)
class Cell:
    """One cell that was typed in a notebook.

    Attributes:
        number: Its execution count, n of `In[n]`.
        source: Its text; for a captured cell without the magic's own line.
        first_line: The line of the cell, counted from 1, on which `source` begins: 2 below a
            magic.
        cell_id: Jupyter's id of the cell (`cellId` in the request's metadata), which stays when
            the cell is edited; empty where it is not known.
    """

    number: int
    source: str
    first_line: int = 1
    cell_id: str = ""

    def line(self, line: int) -> CellLine:
        """The place of line `line` (from 1) of `source`, as a person sees it in the notebook."""
        return CellLine(self.number, self.first_line + line - 1)

    def lines_with(self, text: str) -> list[CellLine]:
        """The places of all lines of `source` that hold `text`."""
        if text not in self.source:
            return []
        lines = enumerate(self.source.split("\n"), 1)
        return [self.line(number) for number, line in lines if text in line]

    @cached_property
    def magic(self) -> str:
        """The name of the cell magic that `source` begins with, or an empty string."""
        match = _CELL_MAGIC.match(self.source) or _OUR_MAGIC.match(self.source)
        return match["any"] if match else ""

    @cached_property
    def shell_lines(self) -> tuple[int, ...]:
        """Lines of `source` (from 1) that are IPython's and not Python's."""
        return self._python[1]

    @property
    def run_files(self) -> tuple[str, ...]:
        """The Python files that `%run FILE` lines name."""
        lines = self.source.split("\n")
        found = [_RUN.match(lines[number - 1]) for number in self.shell_lines]
        return tuple(match["file"] for match in found if match)

    @cached_property
    def python(self) -> str:
        """`source` with IPython's own lines replaced, so that every line keeps its number."""
        return self._python[0]

    @cached_property
    def _python(self) -> tuple[str, tuple[int, ...]]:
        if self.magic and self.magic not in _TRANSPARENT_MAGICS:
            return "", ()
        if not self.magic and self._parsed is not None:
            return self.source, ()
        kept: list[str] = []
        found: list[int] = []
        continued = False
        for number, line in enumerate(self.source.split("\n"), 1):
            match = _SHELL_LINE.match(line)
            if continued or match or _HELP_LINE.match(line):
                found.append(number)
                if continued:
                    kept.append("")
                elif match and match["target"]:
                    # The name is bound, to something that source cannot repeat.
                    kept.append(f"{match['indent']}{match['target']}get_ipython()")
                else:
                    kept.append(f"{match['indent'] if match else ''}pass")
                continued = line.endswith("\\")
            else:
                kept.append(line)
        return "\n".join(kept), tuple(found)

    @cached_property
    def _parsed(self) -> ast.Module | None:
        """The syntax tree of `source` as it stands, None where it is not plain Python."""
        try:
            return ast.parse(self.source)
        except (SyntaxError, ValueError):
            return None

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of `python`. Raises SyntaxError, ValueError (null bytes)."""
        if self.python is self.source and self._parsed is not None:
            return self._parsed
        return ast.parse(self.python)

    def runs_code(self) -> bool:
        """Whether the cell holds any Python that parses."""
        try:
            return bool(self.tree.body)
        except (SyntaxError, ValueError):
            return False


OBJECT = object()
"""Stands for a value that may change without being bound again."""

_SHELLS_OWN = re.compile(r"_+|_i+|_i?\d+|_[iod]h|In|Out|_exit_code|__.*__")
"""The names that IPython binds after each cell."""


@dataclass(frozen=True)
class Bound:
    """What the notebook's names stood for after a cell, of those that it bound in whatever way.

    Attributes:
        values: Name -> its value, where nothing can change that, else OBJECT.
        gone: Names that it unbound.
    """

    values: Mapping[str, object] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()


class Bindings:
    """Sees which names of a notebook each cell binds, without looking into the cell."""

    def __init__(self, namespace: Mapping[str, object]) -> None:
        self._namespace = namespace
        self._known: dict[str, int] = {}
        self.since_the_last_cell()

    def since_the_last_cell(self) -> Bound:
        """What was bound and unbound since this was asked last."""
        now = dict(self._namespace)
        before, self._known = self._known, {name: id(value) for name, value in now.items()}
        changed = {
            name: _lasting(now[name])
            for name, each in self._known.items()
            if before.get(name) != each and not _SHELLS_OWN.fullmatch(name)
        }
        return Bound(changed, frozenset(before.keys() - now.keys()))


def _lasting(value: object) -> object:
    """`value`, if it is a short constant whose `repr` is its source, else OBJECT."""
    if type(value) is tuple:
        is_one = len(value) < 50 and all(_lasting(each) is not OBJECT for each in value)
        return value if is_one else OBJECT
    if isinstance(value, float) and not math.isfinite(value):
        return OBJECT
    is_long = (isinstance(value, str | bytes) and len(value) > 1000) or (
        isinstance(value, int) and value.bit_length() > 200
    )
    plain = (type(None), bool, int, float, str, bytes)
    return value if type(value) in plain and not is_long else OBJECT


def failing_line(
    source: str, error: BaseException | None, namespace: Mapping[str, object]
) -> int | None:
    """The line of `source` (from 1) on which a cell ended in `error`; None where it is not certain.

    The outermost frame that runs in the notebook's `namespace` is the cell's own, and linecache
    has the text that it ran. That is not always `source`: IPython leaves out empty lines above
    the first, rewrites its own lines, and makes one of those that `\\` continues.
    """
    place = error.__traceback__ if error is not None else None
    while place is not None and place.tb_frame.f_globals is not namespace:
        place = place.tb_next
    if place is None or not _is_in_a_statement(place):
        return None
    typed = source.rstrip().splitlines()
    ran = "".join(linecache.getlines(place.tb_frame.f_code.co_filename)).rstrip().splitlines()
    above = len(typed) - len(ran)
    left_out = typed[:above] if above > 0 else ran[:-above]
    # What else is a line's end for splitlines() is none for Python.
    if any(each.strip() for each in left_out) or len(typed) != source.rstrip().count("\n") + 1:
        return None
    pairs = zip(typed[max(above, 0) :], ran[max(-above, 0) :], strict=True)
    if any(one.strip() != other.strip() and "get_ipython()" not in other for one, other in pairs):
        return None
    return place.tb_lineno + above


_RESUME = opcode.opmap.get("RESUME")


def _is_in_a_statement(place: TracebackType) -> bool:
    """Whether top-level code had begun when it failed, so that its line is that of a statement.

    An interrupt may come when a frame has been made and none of its code has run.
    """
    code = place.tb_frame.f_code
    if code.co_name != "<module>" or place.tb_lasti < 0:
        return False
    return code.co_code[place.tb_lasti] != _RESUME
