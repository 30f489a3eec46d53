"""Does a server keep SageMaker's container contract? Every rule, asked of a running server.

`python -m sageturner_magic.conformance URL-or-image` prints a table of rule, result and evidence
and exits with 1 when a required rule is broken. A URL is the root under which /ping and
/invocations lie; anything else is the name of an image, which is started with Docker as SageMaker
starts it. The server may be anybody's: only the contract is asked for. With `--wait 60` a server
that still starts is waited for.

`pytest --sageturner-url URL` makes a test of every rule (`pytest_plugin`).
"""

from __future__ import annotations

from collections.abc import Sequence

from .images import check_image, container
from .rules import RULES, Inquiry, Result, Rule, check, wait_until_ready
from .server_under_test import ServerUnderTest

__all__ = [
    "RULES",
    "Inquiry",
    "Result",
    "Rule",
    "ServerUnderTest",
    "check",
    "check_image",
    "container",
    "table",
    "wait_until_ready",
]


def table(results: Sequence[Result]) -> str:
    """The results as a Markdown table."""
    lines = ["| rule | | result | evidence |", "|---|---|---|---|"]
    for each in results:
        kind = "required" if each.required else "advised"
        evidence = each.evidence.replace("|", "\\|")[:160]
        lines.append(f"| {each.text} | {kind} | {each.outcome} | {evidence} |")
    return "\n".join(lines)
