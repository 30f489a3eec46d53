"""What capture costs: recording a cell, and making the module of a long notebook.

    python -m benchmarks.capture [ROUNDS]

Milliseconds of processor time, as other work on the machine stretches any other. Each round has
a notebook of its own: `%%sageturner_load` looks at its cells for the first time, then
`%%sageturner_predict`, then the module is made twice. Writes benchmarks/results/capture.md.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from sageturner_magic.capture.cells import Cell
from sageturner_magic.capture.checks import Role
from sageturner_magic.capture.notebook import Notebook

RESULT = Path(__file__).parent / "results" / "capture.md"
CELLS = 300
RECORD_MS, MODULE_MS = 1.0, 50.0


@dataclass
class Times:
    """Milliseconds of processor time that a piece of work took, each time."""

    taken: list[float] = field(default_factory=list)

    def measure(self, work: Callable[[], object]) -> None:
        began = time.process_time()
        work()
        self.taken.append((time.process_time() - began) * 1000)

    @property
    def median(self) -> float:
        return statistics.median(self.taken)

    def row(self, what: str, target: float | None = None) -> str:
        """A line of the table, with the target and whether the median meets it."""
        met = ("met" if self.median < target else "not met") if target else ""
        limit = f"< {target:g} ms" if target else ""
        times = f"{self.median:.3g} ms | {min(self.taken):.3g} ms | {max(self.taken):.3g} ms"
        return f"| {what} | {times} | {limit} | {met} |"


def long_cell(lines: int) -> str:
    """A cell of `lines` lines, of functions as people write them."""
    block = "def helper_{n}(x, scale=2.0):\n    total = 0\n    for i in range(10):\n"
    block += "        total += x[i] * scale if i % 2 else helper_{m}(x)\n    return total\n"
    count = lines // 5
    return "".join(block.format(n=n, m=max(0, n - 1)) for n in range(count))


class LongNotebook:
    """A notebook of CELLS cells; of each `3 + unused` of them the module needs three."""

    def __init__(self, unused: int, mark: str) -> None:
        self._namespace: dict[str, object] = {"__name__": "__main__"}
        self.notebook = Notebook(self._namespace)
        # No two notebooks have the same cells: what was seen of one says nothing of another.
        self._mark = mark
        self.notebook.record(self._run(1, "import json, math, re\nimport os.path\n"))
        self._last = 0
        for number in range(2, CELLS - 1):
            source = self._source(number, (number - 2) % (3 + unused))
            self.notebook.record(self._run(number, source))

    def _run(self, number: int, source: str) -> Cell:
        cell = Cell(number, f"{source}# {self._mark}\n")
        exec(compile(source, f"<In[{number}]>", "exec", dont_inherit=True), self._namespace)
        return cell

    def _source(self, number: int, turn: int) -> str:
        if turn == 0:
            return f"SIZE_{number} = {number}\nNAMES_{number} = ['a', 'b', 'c'] * 3\n"
        if turn == 1:
            return (
                f"def step_{number}(x, k=SIZE_{number - 1}):\n"
                f"    # Every step uses the one before.\n"
                f"    return [json.dumps(x), k, math.pi, len(NAMES_{number - 1})]\n"
            )
        if turn == 2:
            before = f"chain_{self._last}(x)" if self._last else "[x]"
            self._last = number
            return f"def chain_{number}(x):\n    return {before} + step_{number - 1}(x)\n"
        return f"scratch_{number} = sorted(str({number}))\nassert scratch_{number}\n"

    def load(self) -> None:
        """What `%%sageturner_load` does."""
        self._capture("load", CELLS - 1, "def load():\n    return SIZE_2\n")

    def predict(self) -> None:
        """What `%%sageturner_predict` does."""
        source = f"def predict(model, request):\n    return chain_{self._last}(request)\n"
        self._capture("predict", CELLS, source)

    def _capture(self, role: Role, number: int, source: str) -> None:
        self.notebook.check(role, Cell(number, source))
        self.notebook.capture(role, "", self._run(number, source))

    def module(self) -> None:
        """What `deploy`, `code` and `try` begin with."""
        assert len(self.notebook.module("digits").source) > CELLS


def rows(rounds: int) -> list[str]:
    """The table's lines."""
    cell, recording = long_cell(200), Times()
    for _ in range(rounds * 10):
        recording.measure(lambda: Notebook({}).record(Cell(1, cell)))
    found = [recording.row("a cell of 200 lines is recorded", RECORD_MS)]
    for needed, unused in (("nearly all", 0), ("three in ten", 7)):
        load, predict, first, again = Times(), Times(), Times(), Times()
        for number in range(rounds + 1):
            long = LongNotebook(unused, f"{needed} {number}")
            if number == 0:
                # The first of all pays for importing what the work is made with.
                for work in (long.load, long.predict, long.module):
                    work()
                continue
            load.measure(long.load)
            predict.measure(long.predict)
            first.measure(long.module)
            again.measure(long.module)
        said = f"{CELLS} cells, {needed} needed"
        found += [
            load.row(f"{said}: `%%sageturner_load` sees the cells for the first time"),
            predict.row(f"{said}: `%%sageturner_predict` after it"),
            first.row(f"{said}: the module", MODULE_MS),
            again.row(f"{said}: the module once more", MODULE_MS),
        ]
    return found


def report(found: list[str], rounds: int) -> str:
    """The file's text."""
    processor = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        named = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = named[0].partition(": ")[2].strip() if named else processor
    made = (
        f"Made by `benchmarks/capture.py`: {date.today()}, {processor},"
        f" {os.cpu_count()} processors,"
        f" load {os.getloadavg()[2]:.1f} over 15 minutes, Python {platform.python_version()},"
        f" {rounds} rounds, processor time."
    )
    lines = [
        "# What capture costs",
        "",
        made,
        "",
        "| | median | fastest | slowest | target | |",
        "|---|---|---|---|---|---|",
        *found,
    ]
    return "\n".join(lines) + "\n"


def main(rounds: int) -> None:
    """Measure, print and write the table."""
    text = report(rows(rounds), rounds)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(text)
    print(text)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
