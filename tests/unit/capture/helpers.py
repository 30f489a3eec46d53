"""A notebook of cells, run as a kernel runs them."""

from __future__ import annotations
import __future__

import contextlib
import linecache
from textwrap import dedent

import pytest

from sageturner_magic.capture.cells import Cell, failing_line
from sageturner_magic.capture.checks import Role
from sageturner_magic.capture.notebook import Notebook

LOAD = "def load():\n    return None\n"
PREDICT = "def predict(model, request):\n    return request\n"

_FEATURES = sum({getattr(__future__, name).compiler_flag for name in __future__.all_feature_names})


class Session:
    """Runs cells in a namespace and tells a `Notebook` about them, as the magics do."""

    def __init__(self) -> None:
        self.namespace: dict[str, object] = {"__name__": "__main__"}
        self.notebook = Notebook(self.namespace)
        self._count = 0
        self._flags = 0

    def run(self, source: str) -> None:
        cell = self._cell(source)
        self._execute(cell)
        self.notebook.record(cell)

    def fail(self, source: str) -> None:
        """Run a cell that ends in an error."""
        cell = self._cell(source)
        with pytest.raises(Exception) as raised:
            self._execute(cell)
        line = failing_line(cell.source, raised.value, self.namespace)
        self.notebook.record_failed(cell, line)

    def fail_somewhere(self, source: str) -> None:
        """Run a cell that ends in an error, of which nobody knows where."""
        cell = self._cell(source)
        with pytest.raises(Exception):  # noqa: B017
            self._execute(cell)
        self.notebook.record_failed(cell)

    def before_the_extension(self, *sources: str) -> None:
        """Run cells that only the history knows."""
        cells = [self._cell(source) for source in sources]
        for cell in cells:
            with contextlib.suppress(ZeroDivisionError):
                self._execute(cell)
        self.notebook.recover(cells)

    def capture(self, role: Role, source: str, name: str = "", cell_id: str = "") -> None:
        cell = self._cell(source, first_line=2, cell_id=cell_id)
        self.notebook.check(role, cell)
        self._execute(cell)
        self.notebook.capture(role, name, cell)

    def load(self, source: str = LOAD, name: str = "", cell_id: str = "") -> None:
        self.capture("load", source, name, cell_id)

    def predict(self, source: str = PREDICT, name: str = "", cell_id: str = "") -> None:
        self.capture("predict", source, name, cell_id)

    def pair(self, name: str = "", load: str = LOAD, predict: str = PREDICT) -> None:
        self.load(load, name)
        self.predict(predict, name)

    def _execute(self, cell: Cell) -> None:
        name = f"<In[{cell.number}]>"
        lines = [line + "\n" for line in cell.source.splitlines()]
        linecache.cache[name] = (len(cell.source), None, lines, name)
        code = compile(cell.source, name, "exec", flags=self._flags, dont_inherit=True)
        # As in IPython, a `__future__` import holds for the cells that follow.
        self._flags |= code.co_flags & _FEATURES
        exec(code, self.namespace)

    def _cell(self, source: str, first_line: int = 1, cell_id: str = "") -> Cell:
        self._count += 1
        return Cell(self._count, dedent(source), first_line, cell_id)
