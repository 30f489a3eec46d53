"""Show deployments as text: their steps and results."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, replace

from sageturner_magic.aws import console_url
from sageturner_magic.deployment import Deployment, Measure, Progress, StepProgress
from sageturner_magic.endpoints import (
    INLINE,
    JSON,
    SentRequest,
    Snippet,
    client_snippets,
    curl_command,
)
from sageturner_magic.rendering.findings import findings_data
from sageturner_magic.rendering.prices import price_text
from sageturner_magic.rendering.responses import python_text
from sageturner_magic.text import duration, nearby, size

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
    if progress.deployment:
        # The time as the user counts it: from pressing the key on.
        return outcome(replace(progress.deployment, seconds=progress.seconds()))
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


def deployment_facts(deployment: Deployment) -> list[tuple[str, str]]:
    """Where a deployment that ended well runs, what it costs, and how to look at it and end it."""
    facts = [("Runs on", "this machine")]
    if deployment.endpoint_type != "local":
        where = f", {deployment.region}" if deployment.region else ""
        facts = [("Runs on", f"SageMaker, {deployment.endpoint_type}{where}")]
    facts.append(("Cost", _cost(deployment)))
    if deployment.url:
        facts.append(("API documentation", f"{deployment.url}/docs"))
    elif deployment.region:
        facts.append(("AWS console", console_url(deployment.region, deployment.name)))
    facts += [
        ("Code", f"{nearby(deployment.origin)} · version {deployment.version}"),
        ("Delete", f"`%sageturner delete {deployment.name}`"),
    ]
    return facts


def _cost(deployment: Deployment) -> str:
    if deployment.endpoint_type == "local":
        return "free"
    return price_text(deployment.price, deployment.endpoint_type)


def curl(deployment: Deployment) -> str:
    """A command that sends the code's example, or what is to be filled in, to a local endpoint."""
    return curl_command(_sent(deployment, _example(deployment) or deployment.outline or "{…}"))


def invoke_line(deployment: Deployment) -> str:
    """A notebook's line that sends the code's example, or what is to be filled in."""
    example = deployment.example or deployment.outline or "{}"
    if len(example) > SHORT:
        example = python_text(json.loads(example))
    if len(example) > INLINE:
        example = "example_request()"
    return f"%sageturner invoke {deployment.name} {example}"


def invoke_command(deployment: Deployment) -> str:
    """A command that sends the code's example; empty where none is known."""
    example = _example(deployment)
    place = f" --region {deployment.region}" if deployment.region else ""
    place += f" --profile {shlex.quote(deployment.profile)}" if deployment.profile else ""
    return f"sageturner invoke{place} {deployment.name} {shlex.quote(example)}" if example else ""


def request_lines(deployment: Deployment) -> tuple[Snippet, ...]:
    """How to send the code's example, or what is to be filled in, from elsewhere."""
    example = _example(deployment) or ("" if deployment.example else deployment.outline or "{}")
    return client_snippets(deployment.name, _sent(deployment, example)) if example else ()


def _sent(deployment: Deployment, body: str) -> SentRequest:
    return SentRequest(
        body.encode(),
        JSON,
        url=deployment.url,
        header_file=deployment.header_file,
        region=deployment.region,
        profile=deployment.profile,
    )


def _example(deployment: Deployment) -> str:
    """The code's example, unless it is too long to stand in a line."""
    return deployment.example if len(deployment.example) <= INLINE else ""


def deployment_data(deployment: Deployment) -> dict[str, object]:
    """As plain data. The token stays in its file, because output is saved and shared."""
    data = asdict(deployment)
    del data["token"]
    return {**data, "findings": findings_data(deployment.findings)}


def deployment_text(progress: Progress) -> str:
    """A deployment that has ended: its steps, and what came of it."""
    lines = [headline(progress)]
    for step in progress.steps():
        took = duration(step.seconds()) if step.started is not None else ""
        line = f"  {STATE_SIGN[state(step)]} {step.title:<24} {took:>10}  {remark(step)}"
        lines.append(line.rstrip())
    lines += [f"{finding.severity}: {finding.coded()}" for finding in progress.findings]
    if progress.error:
        lines.append(progress.error.report())
    elif progress.deployment:
        facts = deployment_facts(progress.deployment)
        lines += [f"{label.lower()}: {value.replace('`', '')}" for label, value in facts]
        lines.append(invoke_line(progress.deployment))
        lines += [curl(progress.deployment)] if progress.deployment.url else []
    return "\n".join(lines)
