"""A notebook cell as a person typed it, and its Python without IPython's own lines."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property

from sageturner_magic.values import CellLine

# `%magic`, `!command`, `?help` at the start of a statement, and `x = %magic`, `x = !command`.
_SHELL_LINE = re.compile(r"^(?P<indent>\s*)(?P<target>[^\s%!?#'\"(\[{][^'\"#(=]*=\s*)?[%!?]+\s*\w")
_HELP_LINE = re.compile(r"^\s*[\w.]+\?{1,2}\s*$")

# Cell magics whose body runs as Python in the notebook's own namespace.
_TRANSPARENT_MAGICS = frozenset({"capture", "prun", "time", "debug"})
_CELL_MAGIC = re.compile(r"^%%(\w+)")


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

    @cached_property
    def magic(self) -> str:
        """The name of the cell magic that `source` begins with, or an empty string."""
        match = _CELL_MAGIC.match(self.source.lstrip("\n"))
        return match[1] if match else ""

    @cached_property
    def shell_lines(self) -> tuple[int, ...]:
        """Lines of `source` (from 1) that are IPython's and not Python's."""
        return self._python[1]

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
