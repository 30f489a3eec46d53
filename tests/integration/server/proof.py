"""The large proofs of the model server, and what they found, as a page.

python -m tests.integration.server.proof --requests 100000 --minutes 5 --report FILE
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import statistics
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import hostile, soak
from .conftest import SERVER, Server, listening_socket

LIMIT = 1_000_000
"""Bytes that resident memory may grow by in 10,000 requests."""


def main() -> int:
    """Run what is asked for; the exit status is 1 if anything was not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.integration.server.proof")
    parser.add_argument("--requests", type=int, default=0, help="hostile requests")
    parser.add_argument("--minutes", type=float, default=0, help="of load with workers killed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, help="where to write the page")
    asked = parser.parse_args()
    problems: list[str] = []
    parts = [_opening(sys.argv[1:])]
    if asked.requests:
        with running(hostile.PROGRAM, hostile.SERVING) as server:
            attacked = hostile.attack(server, asked.requests, asked.seed)
        problems += attacked.problems
        if attacked.slope >= LIMIT:
            problems.append(f"memory grows by {attacked.slope:,.0f} bytes in 10,000 requests")
        parts.append(_hostile_part(attacked))
    if asked.minutes:
        with running(soak.PROGRAM, soak.SERVING) as server:
            soaked = soak.soak(server, asked.minutes * 60, asked.seed)
        problems += soaked.problems
        parts.append(_soak_part(soaked))
    page = "\n".join(parts)
    print(page)
    if asked.report:
        asked.report.write_text(page)
    print("\n".join(problems[:20]), file=sys.stderr)
    return 1 if problems else 0


@contextlib.contextmanager
def running(source: str, serving: dict[str, Any]) -> Iterator[Server]:
    """A server that has loaded its model."""
    with tempfile.TemporaryDirectory() as folder, listening_socket() as listener:
        program = Path(folder) / "program"
        program.mkdir()
        (program / "sageturner.py").write_text(textwrap.dedent(source))
        environment = {"SAGETURNER_SERVING": json.dumps(serving)}
        server = Server(program, Path(folder) / "log", listener, environment, SERVER)
        try:
            yield server.ready()
        finally:
            server.close()


def _opening(arguments: list[str]) -> str:
    # The report's own place says nothing about the run.
    kept = " ".join(arguments).partition(" --report")[0]
    machine = f"{platform.machine()}, {platform.system()}, {os.cpu_count()} cores"
    return (
        "# The model server under attack and under load\n\n"
        f"`python -m tests.integration.server.proof {kept}`\n\n"
        f"{datetime.date.today()}; {machine}, shared with other work; "
        f"Python {platform.python_version()}.\n"
    )


def _table(rows: dict[str, str]) -> str:
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines, ""])


def _hostile_part(outcome: hostile.Outcome) -> str:
    first, last = outcome.memory[len(outcome.memory) // 4], outcome.memory[-1]
    return "## Hostile requests\n\n" + _table(
        {
            "requests": f"{outcome.requests:,} (seed {outcome.seed})",
            "not answered as they should be": str(len(outcome.problems)),
            "resident memory, front and worker, after warm-up": f"{first[1] / 1e6:.1f} MB",
            "at the end": f"{last[1] / 1e6:.1f} MB",
            "slope, in 10,000 requests": f"{outcome.slope / 1e6:+.3f} MB (limit {LIMIT / 1e6:g})",
            "seconds": f"{outcome.seconds:.0f}",
        }
    )


def _soak_part(outcome: soak.Outcome) -> str:
    settled = outcome.memory[len(outcome.memory) // 4 :]
    cuts = statistics.quantiles(outcome.latencies, n=100)
    answers = ", ".join(f"{count:,} with {code}" for code, count in sorted(outcome.answers.items()))
    return "## Load with workers killed and frozen\n\n" + _table(
        {
            "minutes": f"{outcome.seconds / 60:.1f}",
            "workers killed": f"{outcome.kills:,}",
            "freezes of a worker or of all processes": f"{outcome.freezes:,}",
            "workers frozen for good": f"{outcome.lasting:,}",
            "answers": answers,
            "streams broken off by the end of their worker": f"{outcome.cut:,}",
            "requests without an answer, or with a wrong one": str(len(outcome.problems)),
            "p50, p99": f"{cuts[49] * 1000:.1f} ms, {cuts[98] * 1000:.1f} ms",
            "resident memory of the front, after warm-up": f"{settled[0][1] / 1e6:.1f} MB",
            "at the end": f"{settled[-1][1] / 1e6:.1f} MB",
        }
    )


if __name__ == "__main__":
    sys.exit(main())
