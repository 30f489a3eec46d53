"""Asks this server and its peers for every rule of the container contract, and writes the table.

Usage: python -m benchmarks.conformance

The part of docs/server.md below its marker is replaced.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path

from benchmarks.model_servers import OURS, PEERS, TRIVIAL
from benchmarks.server import running
from sageturner_magic import conformance

RESULT = Path(__file__).parents[1] / "docs" / "server.md"
MARKER = "<!-- Written by benchmarks/conformance.py. -->"
SIGNS = {"passed": "yes", "failed": "**no**", "skipped": "not asked"}


def ask() -> dict[str, dict[str, conformance.Result]]:
    """Server -> rule -> result."""
    found = {}
    for server in (OURS, *PEERS):
        body = json.dumps(server.body(TRIVIAL, [1, 2, 3, 4])).encode()
        try:
            with running(server, TRIVIAL) as it:
                target = conformance.ServerUnderTest.at(f"http://127.0.0.1:{it.port}", body=body)
                found[server.name] = {each.rule: each for each in conformance.check(target)}
        except RuntimeError as error:
            print(error, file=sys.stderr)
    return found


def table(found: dict[str, dict[str, conformance.Result]]) -> str:
    """Rules by servers, and what was seen where a rule is broken."""
    names = list(found)
    lines = [f"| rule | | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for rule in conformance.RULES:
        kind = "required" if rule.required else "advised"
        cells = [SIGNS[found[name][rule.name].outcome] for name in names]
        lines.append(f"| {rule.text} | {kind} | {' | '.join(cells)} |")
    lines += ["", "What was seen where a rule is broken:", ""]
    for name in names:
        for each in found[name].values():
            if each.outcome == "failed":
                evidence = each.evidence.replace("|", "\\|")[:160]
                lines.append(f"- {name}, {each.text}: `{evidence}`")
    return "\n".join(lines)


def main() -> None:
    """Ask, and write."""
    kept = RESULT.read_text().partition(MARKER)[0]
    text = f"Asked on {date.today()}.\n\n{table(ask())}"
    RESULT.write_text(f"{kept}{MARKER}\n\n{text}\n")


if __name__ == "__main__":
    main()
