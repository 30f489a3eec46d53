"""What capture costs: recording a cell, and making the module of a long notebook.

    python benchmarks/capture.py

Prints one line a figure, in milliseconds of processor time: the fastest and the median of its
rounds. The contracts: recording a 200-line cell stays below 1 ms, the module of a 300-cell
notebook below 50 ms. The first module of a session also pays for parsing its cells.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from sageturner_magic.capture import Cell, Notebook


def measured(work: Callable[[], object], rounds: int) -> str:
    """Fastest and median of `rounds`, in milliseconds of processor time."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        times.append((time.process_time() - began) * 1000)
    return f"fastest {min(times):8.3f} ms, median {statistics.median(times):8.3f} ms"


def long_cell(lines: int) -> str:
    """A cell of `lines` lines, of functions as people write them."""
    block = "def helper_{n}(x, scale=2.0):\n    total = 0\n    for i in range(10):\n"
    block += "        total += x[i] * scale if i % 2 else helper_{m}(x)\n    return total\n"
    count = lines // 5
    return "".join(block.format(n=n, m=max(0, n - 1)) for n in range(count))


def long_notebook(cells: int, unused: int) -> tuple[Notebook, dict[str, object]]:
    """A notebook of `cells` cells; of each `3 + unused` of them the module needs three."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    notebook = Notebook(namespace)

    def run(number: int, source: str) -> Cell:
        cell = Cell(number, source)
        exec(compile(source, f"<In[{number}]>", "exec", dont_inherit=True), namespace)
        return cell

    notebook.record(run(1, "import json, math, re\nimport os.path\n"))
    last = 0
    for number in range(2, cells - 1):
        turn = (number - 2) % (3 + unused)
        if turn == 0:
            source = f"SIZE_{number} = {number}\nNAMES_{number} = ['a', 'b', 'c'] * 3\n"
        elif turn == 1:
            source = (
                f"def step_{number}(x, k=SIZE_{number - 1}):\n"
                f"    # Every step uses the one before.\n"
                f"    return [json.dumps(x), k, math.pi, len(NAMES_{number - 1})]\n"
            )
        elif turn == 2:
            before = f"chain_{last}(x)" if last else "[x]"
            source = f"def chain_{number}(x):\n    return {before} + step_{number - 1}(x)\n"
            last = number
        else:
            source = f"scratch_{number} = sorted(str({number}))\nassert scratch_{number}\n"
        notebook.record(run(number, source))
    load = run(cells - 1, "def load():\n    return SIZE_2\n")
    notebook.capture("load", "", load)
    predict = run(cells, f"def predict(model, request):\n    return chain_{last}(request)\n")
    notebook.capture("predict", "", predict)
    return notebook, namespace


def main() -> None:
    cell = long_cell(200)
    notebook = Notebook({})
    print("record, 200 lines:          ", measured(lambda: notebook.record(Cell(1, cell)), 200))
    for what, unused in (("three in ten", 7), ("nearly all", 0)):
        notebooks = [long_notebook(300, unused)[0] for _ in range(5)]
        firsts = iter(notebooks)
        first = measured(lambda given=firsts: next(given).module("digits"), 5)
        again = measured(lambda one=notebooks[0]: one.module("digits"), 20)
        print(f"module, 300 cells, {what} needed, first: {first}")
        print(f"module, 300 cells, {what} needed, again: {again}")


if __name__ == "__main__":
    main()
