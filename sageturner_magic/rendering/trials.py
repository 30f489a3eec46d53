"""Show trials as text and as data."""

from __future__ import annotations

from typing import Any

from sageturner_magic.deployment import Tried, trial_figures
from sageturner_magic.rendering.findings import findings_data
from sageturner_magic.rendering.responses import answer_text
from sageturner_magic.text import nearby


def tried_summary(tried: Tried) -> str:
    """What was tried and what it took, in a line."""
    what = "answers" if tried.trial.asked else "loads"
    if tried.trial.asked == "example":
        what = "answers its example"
    fits = tried.serverless_memory
    room = f"would fit a serverless endpoint of {fits} MB" if fits else "too large for serverless"
    figures = trial_figures(tried.trial).replace(", ", " · ")
    return f"{tried.name} {what} in a clean Python {tried.python} · {figures} ({room})"


def tried_text(tried: Tried) -> str:
    """The answer, what it took, and what will not do where the model runs."""
    lines = [answer_text(tried.value, tried.trial.content_type)] if tried.trial.asked else []
    lines += [tried_summary(tried), f"code: {nearby(tried.origin)}"]
    lines += [f"{finding.severity}: {finding.coded()}" for finding in tried.findings]
    return "\n".join(lines)


def tried_data(tried: Tried) -> dict[str, Any]:
    """The same for programs."""
    trial = tried.trial
    return {
        "name": tried.name,
        "python": tried.python,
        "code": tried.origin,
        "asked": trial.asked,
        "value": None if isinstance(tried.value, bytes) else tried.value,
        "content_type": trial.content_type,
        "import_seconds": trial.import_s,
        "load_seconds": trial.load_s,
        "predict_seconds": trial.predict_s,
        "memory_bytes": trial.memory,
        "serverless_memory_mb": tried.serverless_memory,
        "findings": findings_data(tried.findings),
    }
