"""How durations, sizes, steps and results are put into words, the same in every renderer."""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sageturner_magic.capture import Trial
from sageturner_magic.deployment import costs
from sageturner_magic.deployment.events import Deployment
from sageturner_magic.deployment.plan import Plan
from sageturner_magic.deployment.progress import Measure, Progress, StepProgress
from sageturner_magic.deployment.snippets import INLINE, Snippet, snippets
from sageturner_magic.errors import Finding, UsageError
from sageturner_magic.image.layers import Place, PlannedLayer
from sageturner_magic.plain_text import visible
from sageturner_magic.targets.endpoint import EndpointDescription
from sageturner_magic.targets.payload import JSON
from sageturner_magic.targets.prediction import Prediction, SentRequest
from sageturner_magic.values import Artefact

if TYPE_CHECKING:
    from sageturner_magic.deployment.trial import Tried

STATE_SIGN = {
    None: "·",
    "running": "▸",
    "done": "✓",
    "reused": "✓",
    "failed": "✗",
    "cancelled": "■",
}

SHORT = 160
"""Characters of a request that stand in a sentence."""

OUTLINED = 8
"""Numbers that are shown of a long list where the whole does not fit."""

TEXT_LENGTH = 2000
"""Characters that are shown of one value."""

ENDPOINT_HEAD = ("Name", "Type", "Status", "Version", "Age", "Cost", "So far", "Code", "")


def clip(text: str, length: int = TEXT_LENGTH) -> str:
    """At most `length` characters, and how many were left out."""
    if len(text) <= length:
        return text
    return f"{text[:length]}… ({len(text) - length:,} more characters)"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`, `1 h 2 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: float) -> str:
    """Bytes as `512 B`, `3.4 MB`, `1.2 GB` (powers of 1000, as registries and S3 show them)."""
    if count < 1000:
        return f"{count:.0f} B"
    units = ("kB", "MB", "GB")
    power = min(int(math.log10(count * 1.0005) // 3), len(units))
    count /= 1000**power
    return f"{count:.1f} {units[power - 1]}" if count < 99.95 else f"{count:.0f} {units[power - 1]}"


def artefact(value: Artefact | None) -> str:
    """`none`, `1 file, 3.4 MB`, `12 files, 1.2 GB`."""
    if value is None:
        return "none"
    files = "1 file" if value.files == 1 else f"{value.files} files"
    return f"{files}, {size(value.size)}"


def nearby(origin: str) -> str:
    """Where code came from, a folder below the working directory as a relative path."""
    with suppress(ValueError):
        return str(Path(origin).relative_to(Path.cwd()))
    return origin


def measure(value: Measure) -> str:
    """`3.4 of 12.0 MB`, `2 of 3 instances`."""
    if value.unit == "B":
        done, total = size(value.done), size(value.total) if value.total is not None else ""
    else:
        done = f"{value.done:g}"
        total = f"{value.total:g}" if value.total is not None else ""
    text = f"{done} of {total}" if total else done
    return text if value.unit == "B" else f"{text} {value.unit}"


def state(step: StepProgress) -> str | None:
    """`running`, the outcome, or None for a step that has not started."""
    if step.outcome:
        return step.outcome
    return "running" if step.started is not None else None


def remark(step: StepProgress) -> str:
    """What stands behind a step's title: how far it is, or what came of it."""
    if step.outcome is None:
        bar = step.measure()
        return measure(bar) if bar else ""
    if step.outcome in ("failed", "cancelled"):
        return step.outcome
    return f"unchanged, {step.note}" if step.outcome == "reused" and step.note else step.note


def headline(progress: Progress) -> str:
    """The deployment in one line."""
    if progress.error:
        return f"{progress.name} was not {progress.done}"
    if deployment := progress.deployment:
        return outcome(deployment)
    return f"{progress.doing} {progress.name}"


def steps_line(progress: Progress) -> str:
    """The steps that began, in a line: `✓ Load the model · ✗ Answer a request`."""
    return " · ".join(
        f"{STATE_SIGN[state(step)]} {step.title}"
        for step in progress.steps()
        if step.started is not None
    )


def elapsed(progress: Progress) -> str:
    """How long it has been running, of how long it took the last time."""
    now = duration(progress.seconds())
    if progress.expected_s is None:
        return now
    return f"{now} of about {duration(progress.expected_s)}, as the last time"


def outcome(deployment: Deployment) -> str:
    """What has come of a deployment that ended well."""
    what = f"{deployment.name} answers at {deployment.url}" if deployment.url else deployment.name
    if deployment.unchanged:
        return f"{what} (nothing has changed, nothing was done)"
    return f"{what}, deployed in {duration(deployment.seconds)}"


def curl(deployment: Deployment) -> str:
    """A command that sends the code's example, or what is to be filled in, to a local endpoint."""
    token = f" -H 'Authorization: token {deployment.token}'" if deployment.token else ""
    body = shlex.quote(_example(deployment) or "{…}")
    return f"curl {deployment.url}/invocations{token} -H 'Content-Type: application/json' -d {body}"


def invoke_line(deployment: Deployment) -> str:
    """A notebook's line that sends the code's example, where that is short."""
    example = deployment.example if len(deployment.example) <= SHORT else ""
    return f"%sageturner invoke {deployment.name} {example or '…'}"


def invoke_command(deployment: Deployment) -> str:
    """A command that sends the code's example; empty where none is known."""
    example = _example(deployment)
    place = f" --region {deployment.region}" if deployment.region else ""
    place += f" --profile {shlex.quote(deployment.profile)}" if deployment.profile else ""
    return f"sageturner invoke{place} {deployment.name} {shlex.quote(example)}" if example else ""


def request_lines(deployment: Deployment) -> tuple[Snippet, ...]:
    """How to send the code's example from elsewhere; empty where none is known."""
    example = _example(deployment)
    if not example:
        return ()
    sent = SentRequest(
        example.encode(),
        JSON,
        url=deployment.url,
        token=deployment.token,
        region=deployment.region,
        profile=deployment.profile,
    )
    return snippets(deployment.name, sent)


def _example(deployment: Deployment) -> str:
    """The code's example, unless it is too long to stand in a line."""
    return deployment.example if len(deployment.example) <= INLINE else ""


def deployment_text(progress: Progress) -> str:
    """A deployment that has ended: its steps, and what came of it."""
    lines = [headline(progress)]
    for step in progress.steps():
        took = duration(step.seconds()) if step.started is not None else ""
        line = f"  {STATE_SIGN[state(step)]} {step.title:<24} {took:>10}  {remark(step)}"
        lines.append(line.rstrip())
    lines += [f"{finding.severity}: {finding}" for finding in progress.findings]
    if progress.error:
        lines.append(progress.error.report())
    elif progress.deployment:
        lines.append(f"code: {nearby(progress.deployment.origin)}")
        lines.append(invoke_line(progress.deployment))
        lines += [curl(progress.deployment)] if progress.deployment.url else []
    return "\n".join(lines)


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


PLACES: dict[Place, str] = {
    "registry": "in the registry",
    "base": "in the base image's registry",
    "cache": "in this machine's cache",
    "nowhere": "to be made",
}
"""Where a layer is, in words."""


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
            *(f"{finding.severity}: {finding}" for finding in plan.findings),
        ]
    )


def plan_dockerfile(plan: Plan) -> str:
    """What a plan's image would be built from. Raises UsageError where there is no image."""
    if not plan.dockerfile:
        raise UsageError(
            "There is no Dockerfile",
            why="`--dockerfile` shows that of an image for SageMaker",
            do="add `-e serverless` or `-e server`",
        )
    return plan.dockerfile


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


def endpoint_row(endpoint: EndpointDescription, now: float) -> list[str]:
    """The cells of an endpoint's row, under `ENDPOINT_HEAD`. `now`: seconds since the epoch."""
    cost = costs.cost_of(endpoint, now)
    return [
        endpoint.name,
        endpoint.endpoint_type,
        endpoint.status,
        endpoint.version,
        duration(now - endpoint.created),
        costs.rate_text(cost),
        costs.so_far_text(cost),
        nearby(endpoint.origin),
        endpoint.detail,
    ]


def endpoints_text(endpoints: Sequence[EndpointDescription], now: float) -> str:
    """Endpoints as a table, with what they cost together. `now`: seconds since the epoch."""
    if not endpoints:
        return "No endpoints. `sageturner deploy` makes one."
    rows = [list(ENDPOINT_HEAD), *(endpoint_row(endpoint, now) for endpoint in endpoints)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(ENDPOINT_HEAD))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join(filter(None, [*lines, endpoints_total(endpoints, now)]))


def endpoints_total(endpoints: Sequence[EndpointDescription], now: float) -> str:
    """What endpoints cost together; empty where all are free. `now`: seconds since the epoch."""
    return costs.total_text(costs.total_of([costs.cost_of(each, now) for each in endpoints]))


def as_json(value: object) -> str:
    """A decoded answer on one line."""
    return json.dumps(value, ensure_ascii=False, default=str)


def value_text(value: object) -> str:
    """A decoded answer: text as it is, the rest as JSON or as it prints."""
    if isinstance(value, str):
        return value
    return str(value) if hasattr(value, "tolist") else as_json(value)


def trial_figures(trial: Trial) -> str:
    """What a trial measured, in a line."""
    parts = [f"load {duration(trial.load_s)}"]
    if trial.predict_s is not None:
        parts.append(f"predict {brief(trial.predict_s)}")
    parts.append(f"memory {size(trial.memory)}")
    return ", ".join(parts)


def brief(seconds: float) -> str:
    """`0.3 ms`, `41 ms`, and from a second on as `duration`."""
    if seconds >= 0.9995:
        return duration(seconds)
    return f"{seconds * 1000:.1f} ms" if seconds < 0.00995 else f"{seconds * 1000:.0f} ms"


def tried_summary(tried: Tried) -> str:
    """What was tried and what it took, in a line."""
    what = "answers" if tried.trial.asked else "loads"
    if tried.trial.asked == "example":
        what = "answers its example"
    fits = tried.serverless_memory
    size = f"would fit a serverless endpoint of {fits} MB" if fits else "too large for serverless"
    figures = trial_figures(tried.trial).replace(", ", " · ")
    return f"{tried.name} {what} in a clean Python {tried.python} · {figures} ({size})"


def tried_text(tried: Tried) -> str:
    """The answer, what it took, and what will not do where the model runs."""
    lines = [answer_text(tried.value, tried.trial.content_type)] if tried.trial.asked else []
    lines += [tried_summary(tried), f"code: {nearby(tried.origin)}"]
    lines += [f"{finding.severity}: {finding}" for finding in tried.findings]
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


def findings_data(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """Findings for programs."""
    return [{"severity": finding.severity, "message": str(finding)} for finding in findings]


def load_progress(endpoint: str, sent: int, wanted: int, failed: int, seconds: float) -> str:
    """How far a load test is, in a line."""
    rate = f", {sent / seconds:,.0f} a second" if sent and seconds else ""
    trouble = f", {failed:,} failed" if failed else ""
    of = f"{sent:,} of {wanted:,}" if sent < wanted else f"{sent:,}"
    return f"{endpoint}: {of} requests in {duration(seconds)}{rate}{trouble}"


def piece_text(piece: object) -> str:
    """A piece of a streamed answer: text as it is, a value as a line of JSON."""
    if isinstance(piece, bytes):
        return f"[{size(len(piece))}]\n"
    return piece if isinstance(piece, str) else f"{as_json(piece)}\n"


def prediction_summary(prediction: Prediction) -> str:
    """How a request was answered, in a line."""
    return (
        f"{prediction.endpoint} · HTTP {prediction.status} · {prediction.latency_ms:.1f} ms"
        f" · {size(len(prediction.body))}"
    )


def prediction_text(prediction: Prediction) -> str:
    """The value, then how it was answered."""
    shown = answer_text(prediction.value, prediction.content_type)
    return f"{shown}\n{prediction_summary(prediction)}"


def answer_text(value: object, content_type: str) -> str:
    """A decoded answer as far as a person reads it."""
    if isinstance(value, bytes):
        return f"{len(value):,} bytes of {visible(content_type)}"
    whole = value_text(value)
    if len(whole) > TEXT_LENGTH and isinstance(value, (dict, list)):
        whole = as_json(_outlined(value))
    return visible(clip(whole))


def _outlined(value: object) -> object:
    """A JSON value with the first of many numbers, so that what surrounds them is seen."""
    if isinstance(value, dict):
        return {key: _outlined(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) > OUTLINED and all(isinstance(item, (int, float)) for item in value):
        return [*value[:OUTLINED], f"… {len(value) - OUTLINED:,} more numbers"]
    return [_outlined(item) for item in value]
