"""The large proof: many random notebooks, and none whose module answers otherwise.

    python -m tests.integration.capture.proof --count 20000 --report docs/proof/capture.md

Prints what was wrong and exits with 1 when anything was. The report (Markdown) is written after
each round.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import IPython
from hypothesis import HealthCheck, Phase, given, seed, settings

from .random_notebooks import CleanProcess, Kernel, RandomNotebook, notebooks, verdict

# Hypothesis slows down as it remembers what it tried.
ROUND = 1000
VERDICTS = {
    "equal": "module answers as the notebook",
    "refused": "capture refuses",
    "failing": "the notebook's own predict raises",
    "wrong": "module answers otherwise",
}

Counts = collections.Counter[str]


def rounds(first: int, number: int, wrong: list[str]) -> Iterator[Counts]:
    """The counts after each round; what went wrong is added to `wrong`."""
    kernel, clean = Kernel(), CleanProcess()
    counts: Counts = collections.Counter()
    for each in range(first, first + number):

        @seed(each)
        @settings(
            max_examples=ROUND,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(notebook=notebooks())
        def one_round(notebook: RandomNotebook) -> None:
            what = verdict(notebook, kernel, clean)
            if what not in VERDICTS:
                wrong.append(f"{notebook}\n{what}")
            counts[what if what in VERDICTS else "wrong"] += 1

        one_round()
        yield counts
    clean.close()


def report(counts: Counts, first: int, seconds: float) -> str:
    """The result, with all that is needed to repeat it."""
    total = sum(counts.values())
    last = first + total // ROUND - 1
    lines = [
        "# Random notebooks against IPython",
        "",
        f"`python -m tests.integration.capture.proof --count {total} --seed {first}`",
        "",
        "| | |",
        "|---|---|",
        f"| date | {datetime.date.today().isoformat()} |",
        f"| machine | {platform.machine()}, {platform.system()}, 2 cores shared with other work |",
        f"| Python, IPython | {platform.python_version()}, {IPython.__version__} |",
        f"| seeds | {first} to {last}, {ROUND} notebooks each |",
        f"| notebooks | {total} |",
        *(f"| {text} | {counts[kind]} |" for kind, text in VERDICTS.items()),
        f"| seconds | {seconds:.0f} |",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    began = time.monotonic()
    wrong: list[str] = []
    for counts in rounds(arguments.seed, -(-arguments.count // ROUND), wrong):
        print(dict(counts), flush=True)
        if arguments.report:
            text = report(counts, arguments.seed, time.monotonic() - began)
            arguments.report.write_text(text)
    for each in wrong[:10]:
        print(each, "=" * 80, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
