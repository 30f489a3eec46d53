"""Hold what ran in a notebook: cells, and their statements one by one."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from sageturner_magic.capture.cells import Bound, Cell
from sageturner_magic.capture.syntax import Statement, statements_of


class RunOrigin(Enum):
    """How a cell came to run, which decides how far its names are trusted.

    OWN: captured for this module. OTHER: any cell of the notebook. FOREIGN: captured for another
    model, whose names count only where nobody else has them. RECOVERED: found in the history from
    before the extension was loaded; it may have failed half-way, so what it made must be seen.
    FAILED: it ended in an error, nobody knows where; what it would have bound or changed is in
    doubt, and it is the source of nothing. The one statement in which a cell failed is of this
    kind too. UNREACHED: a statement behind that one, which did not run. KEPT: a statement that was
    written to read an object of the notebook from a file. UNSEEN: it may have bound a name by
    something that its source does not show; it is the source of nothing either.
    """

    OWN = "own"
    OTHER = "other"
    FOREIGN = "foreign"
    RECOVERED = "recovered"
    FAILED = "failed"
    UNREACHED = "unreached"
    KEPT = "kept"
    UNSEEN = "unseen"


@dataclass(frozen=True)
class Run:
    """One run of a cell.

    Attributes:
        stopped_at: The line of the cell's source on which it failed, where that is known.
        bound: What it bound, as far as that is known.
    """

    cell: Cell
    origin: RunOrigin
    stopped_at: float | None = None
    bound: Bound = field(default_factory=Bound)

    def statements(self) -> Iterator[tuple[Statement, RunOrigin]]:
        """The statements of the cell, in order, and how far each is trusted."""
        statements = statements_of(self.cell)
        line = self.stopped_at
        if line is None:
            yield from ((statement, self.origin) for statement in statements)
            return
        is_known = any(each.start <= line <= each.end for each in statements)
        for statement in statements:
            if not is_known or statement.start <= line <= statement.end:
                yield statement, RunOrigin.FAILED
            else:
                yield statement, self.origin if statement.end < line else RunOrigin.UNREACHED


@dataclass(frozen=True, eq=False)
class RunStatement:
    """One statement at its place in the order of execution.

    Attributes:
        index: Its place in `History.steps`; a fraction for one that was written for the module.
        cell_failed: Its cell ended in an error: running it again as it is ends in the same one.
    """

    index: float
    statement: Statement
    origin: RunOrigin
    cell_failed: bool = False
    node: ast.stmt = field(init=False)

    def __post_init__(self) -> None:
        # Read so often that a property would be felt.
        object.__setattr__(self, "node", self.statement.node)

    @property
    def is_import(self) -> bool:
        return self.statement.is_import

    @property
    def is_definition(self) -> bool:
        return self.statement.is_definition


def files_run(cell: Cell) -> Iterator[Cell]:
    """The files that `%run` executed in the notebook, as they are now, like cells."""
    for file in cell.run_files:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            yield Cell(cell.number, Path(file).expanduser().read_text("utf-8"))
