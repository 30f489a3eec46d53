"""Show plans as text and as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sageturner_magic.deployment import Plan
from sageturner_magic.image.layers import LayerPlace, PlannedLayer
from sageturner_magic.rendering.findings import findings_data
from sageturner_magic.text import duration, size

PLACES: dict[LayerPlace, str] = {
    "registry": "in the registry",
    "base": "in the base image's registry",
    "cache": "in this machine's cache",
    "nowhere": "to be made",
}
"""Where a layer is, in words."""


def plan_facts(plan: Plan) -> list[tuple[str, str]]:
    """Label and value of everything that a plan says."""
    facts = [(fact.label, fact.value) for fact in plan.facts]
    if plan.steps and plan.expected_s is not None:
        facts.append(("Duration", f"about {duration(plan.expected_s)}, as the last time"))
    steps = ", ".join(step.title for step in plan.steps) or "nothing: it runs already"
    if plan.layers:
        lines = [layers_summary(plan.layers), *map(layer_line, plan.layers)]
        facts += zip(("Layers", *([""] * len(plan.layers))), lines, strict=True)
    return [*facts, ("Steps", steps)]


def layers_summary(layers: Sequence[PlannedLayer]) -> str:
    """How many layers there are, of which size, and how many of them are where."""
    count = Counter(layer.place for layer in layers)
    places = [f"{count[place]} {where}" for place, where in PLACES.items() if place in count]
    total = size(sum(layer.size for layer in layers))
    return f"{len(layers)}, {total} compressed: {', '.join(places)}"


def layer_line(layer: PlannedLayer) -> str:
    """A layer's size, where it is, and what is in it."""
    about = "about " if layer.place == "nowhere" else ""
    shown = f"{about}{size(layer.size)}" if layer.size else "size not known"
    title = layer.title if len(layer.title) <= 60 else f"{layer.title[:59]}…"
    return f"{title}: {shown}, {PLACES[layer.place]}"


def plan_text(plan: Plan) -> str:
    """A plan, a line a fact."""
    return "\n".join(
        [
            *(f"{label:<10} {value}" for label, value in plan_facts(plan)),
            *(f"{finding.severity}: {finding.coded()}" for finding in plan.findings),
        ]
    )


def plan_data(plan: Plan) -> dict[str, Any]:
    """A plan for programs."""
    return {
        "name": plan.name,
        "endpoint_type": plan.endpoint_type,
        "version": plan.version,
        "facts": {fact.label.lower(): fact.value for fact in plan.facts},
        "layers": [asdict(layer) for layer in plan.layers],
        "steps": [step.key for step in plan.steps],
        "findings": findings_data(plan.findings),
    }
