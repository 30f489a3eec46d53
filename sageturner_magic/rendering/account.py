"""Show what the verbs for the account found or changed."""

from __future__ import annotations

import json
from typing import Any

from sageturner_magic.text import columns
from sageturner_magic.verbs import Changes, PlannedRemoval, Policies, Report


def changes_text(changes: Changes) -> str:
    """What `setup` changed, a line each."""
    lines = [*changes] or ["everything is set up; nothing was changed"]
    if changes.offer:
        lines.append(f"{changes.offer.question} Run `sageturner {changes.offer.remedy}`.")
    return "\n".join(lines)


def changes_data(changes: Changes) -> dict[str, Any]:
    """The same for programs."""
    return {"changed": [*changes]}


def policies_text(policies: Policies) -> str:
    """One policy as IAM takes it; several by what each is for."""
    return json.dumps(policies_data(policies), indent=2)


def policies_data(policies: Policies) -> dict[str, Any]:
    """The same for programs."""
    documents = dict(policies.documents)
    return documents if len(documents) > 1 else next(iter(documents.values()))


def removal_text(removal: PlannedRemoval) -> str:
    """What to say afterwards, with what stays; empty where the lines were shown and say it."""
    return "\n".join([removal.done, *(f"note: {note}" for note in removal.left)]).strip()


def removal_data(removal: PlannedRemoval) -> dict[str, Any]:
    """What was removed, and what stays if anything does, for programs."""
    left = [str(note) for note in removal.left]
    return {"deleted": [*removal.lines], **({"left": left} if left else {})}


def verdict(report: Report) -> str:
    """What `doctor` found, in a sentence."""
    # An image is made without Docker as well.
    on_aws = [label for label in report.wrong if label != "Docker"]
    if on_aws:
        return f"Ready for local endpoints; not yet for SageMaker: {', '.join(on_aws)}"
    return "Ready for local endpoints and for SageMaker"


def report_text(report: Report) -> str:
    """What `doctor` found: a line for each part, then what GPUs need."""
    lines = [f"{label:<12} {state}" for label, state in report.parts]
    if report.frameworks:
        lines += ["", "This environment's frameworks on SageMaker's instances:"]
        lines.append(columns(report.frameworks))
    return "\n".join(lines)


def report_data(report: Report) -> dict[str, Any]:
    """The same for programs."""
    head, rows = report.frameworks[:1], report.frameworks[1:]
    return {
        **{label.lower(): state for label, state in report.parts},
        "frameworks": [dict(zip(head[0], row, strict=True)) for row in rows],
        "wrong": [label.lower() for label in report.wrong],
    }
