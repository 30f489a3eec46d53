"""The large proof: many random notebooks, and none whose module answers otherwise.

    python -m tests.integration.capture.proof [COUNT [SEED [REPORT]]]

Prints the counts, writes REPORT (Markdown) when it is given, and exits with 1 when a module was
wrong.
"""

from __future__ import annotations

import collections
import datetime
import platform
import sys
import time
from pathlib import Path

import IPython
from hypothesis import HealthCheck, Phase, given, seed, settings

from .random_notebooks import CleanProcess, Kernel, RandomNotebook, notebooks, verdict

# Hypothesis slows down as it remembers what it tried.
ROUND = 1000


def prove(count: int, first_seed: int) -> tuple[collections.Counter[str], list[str]]:
    """How many were equal, refused, failing and wrong, and the first of those that were wrong."""
    kernel, clean = Kernel(), CleanProcess()
    counts: collections.Counter[str] = collections.Counter()
    wrong: list[str] = []
    for number in range(first_seed, first_seed + -(-count // ROUND)):

        @seed(number)
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
            known = what in ("equal", "refused", "failing")
            counts[what if known else "wrong"] += 1
            if not known and len(wrong) < 10:
                wrong.append(f"{notebook}\n{what}")

        one_round()
        print(f"seed {number}: {dict(counts)}", flush=True)
    clean.close()
    return counts, wrong


def main() -> int:
    count, first_seed = (int(each) for each in [*sys.argv[1:3], "20000", "1"][:2])
    if len(sys.argv) == 2:
        first_seed = 1
    began = time.monotonic()
    counts, wrong = prove(count, first_seed)
    seconds = time.monotonic() - began
    rounds = -(-count // ROUND)
    report = f"""# Random notebooks against IPython

`python -m tests.integration.capture.proof {count} {first_seed}`

| | |
|---|---|
| date | {datetime.date.today().isoformat()} |
| machine | {platform.machine()}, {platform.system()} |
| Python, IPython | {platform.python_version()}, {IPython.__version__} |
| seeds | {first_seed} to {first_seed + rounds - 1}, {ROUND} notebooks each |
| notebooks | {sum(counts.values())} |
| module answers as the notebook | {counts["equal"]} |
| capture refuses | {counts["refused"]} |
| the notebook's own predict raises | {counts["failing"]} |
| module answers otherwise | {counts["wrong"]} |
| seconds | {seconds:.0f} |
"""
    print(report)
    for each in wrong:
        print(each, "=" * 80, sep="\n")
    if len(sys.argv) > 3:
        Path(sys.argv[3]).write_text(report)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
