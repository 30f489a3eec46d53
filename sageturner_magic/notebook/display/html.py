"""Render results as static HTML that stays when the kernel is gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from sageturner_magic import rendering
from sageturner_magic.deployment import Deployment, Plan, Progress
from sageturner_magic.endpoints import EndpointDescription, Snippet
from sageturner_magic.endpoints.measured import Dashboard
from sageturner_magic.errors import Finding, SageturnerError
from sageturner_magic.notebook.display.figures import spark
from sageturner_magic.notebook.display.markup import (
    box,
    facts_table,
    fill,
    fill_each,
    preformatted,
    table,
    text,
    without_maths,
)
from sageturner_magic.rendering import (
    ENDPOINT_HEAD,
    endpoint_row,
    endpoints_text,
    endpoints_total,
)
from sageturner_magic.text import duration, nearby, visible

LOG_LINES = 30
CODE_LENGTH = 200_000


class Shown:
    """A value with the way it is shown.

    Attributes:
        data: The value itself.
    """

    def __init__(self, data: Any, plain: str, html: str) -> None:
        self.data = data
        self._text = visible(plain)
        self._html = without_maths(html)

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._html


def findings_html(findings: Sequence[Finding]) -> Markup:
    """List findings, the severity of each in bold."""
    if not findings:
        return Markup()
    rows = [(finding.severity, str(finding)) for finding in findings]
    return fill("<ul>{}</ul>", fill_each("<li><b>{}</b>: {}</li>", rows))


# --- a deployment -------------------------------------------------------------------------


def deployment_html(progress: Progress) -> Markup:
    """Show a deployment that has ended."""
    rows = [
        (
            fill("{} {}", rendering.STATE_SIGN[rendering.state(step)], step.title),
            duration(step.seconds()) if step.started is not None else "",
            rendering.remark(step),
        )
        for step in progress.steps()
    ]
    if progress.error:
        end = _error_html(progress.error)
    else:
        end = _calling_html(progress.deployment) if progress.deployment else Markup()
    return box(
        fill("<p><b>{}</b></p>", _headline_html(progress)),
        table((), rows),
        findings_html(progress.findings),
        end,
    )


def _calling_html(deployment: Deployment) -> Markup:
    """What runs, and how to call it."""
    docs = Markup()
    if deployment.url:
        docs = fill(
            ' <a href="{}" target="_blank" rel="noopener">API documentation</a>',
            f"{deployment.url}/docs",
        )
    lines = rendering.request_lines(deployment)
    elsewhere = snippets_html(lines, "the example")
    if deployment.url and not lines:
        elsewhere = fill("<p>or</p>{}", preformatted(rendering.curl(deployment)))
    return fill(
        "<p>Code: {}. Version {}.{}</p><p>Try <code>{}</code></p>{}",
        *(nearby(deployment.origin), deployment.version, docs, rendering.invoke_line(deployment)),
        elsewhere,
    )


def snippets_html(lines: Sequence[Snippet], sent: str = "it") -> Markup:
    """Show, folded, how a request is sent from elsewhere; `sent` is what the request is called."""
    if not lines:
        return Markup()
    blocks = ((line.label, preformatted(line.code, 8000)) for line in lines)
    shown = fill_each("<p><b>{}</b></p>{}", blocks)
    return fill("<details><summary>Send {} from elsewhere</summary>{}</details>", sent, shown)


def _headline_html(progress: Progress) -> Markup:
    deployment = progress.deployment
    if progress.error or deployment is None or not deployment.url:
        return text(rendering.headline(progress))
    before, url, after = rendering.outcome(deployment).partition(deployment.url)
    return fill("{}<code>{}</code>{}", before, url, after)


def _error_html(error: SageturnerError) -> Markup:
    parts = []
    for finding in error.findings:
        more = ((" ({})", finding.where), (": {}", finding.why), ("<br>→ {}", finding.do))
        rest = Markup().join(fill(template, said) for template, said in more if said)
        parts.append(fill("<p><b>{}</b>{}</p>", finding.what, rest))
        if finding.details:
            lines = finding.details.rstrip().splitlines()[-LOG_LINES:]
            parts.append(preformatted("\n".join(lines), 4000))
    return Markup().join(parts)


# --- a plan -------------------------------------------------------------------------------


def plan_shown(plan: Plan) -> Shown:
    """What a deployment would do."""
    html = box(facts_table(rendering.plan_facts(plan)), findings_html(plan.findings))
    return Shown(plan, rendering.plan_text(plan), html)


def code_shown(source: str) -> Shown:
    """A module or a diff as it is written."""
    return Shown(source, source, box(preformatted(source, CODE_LENGTH)))


# --- endpoints ----------------------------------------------------------------------------


def endpoints_shown(
    endpoints: Sequence[EndpointDescription], now: float, notes: Sequence[Finding] = ()
) -> Shown:
    """Endpoints as a table, with what they cost. `now` is in seconds since the epoch."""
    plain = endpoints_text(endpoints, now)
    plain = "\n".join([plain, *(f"{note.severity}: {note}" for note in notes)])
    if not endpoints:
        return Shown(endpoints, plain, fill("<p>{}</p>", plain))
    total = endpoints_total(endpoints, now)
    html = box(
        table(ENDPOINT_HEAD, [endpoint_row(endpoint, now) for endpoint in endpoints]),
        fill("<p>{}</p>", total) if total else Markup(),
        findings_html(notes),
    )
    return Shown(endpoints, plain, html)


def dashboard_shown(shown: Dashboard) -> Shown:
    """One endpoint at a glance, with small plots of how it was used."""
    parts = [
        fill("<p><b>{}</b></p>", shown.endpoint.name),
        facts_table(rendering.dashboard_facts(shown)),
    ]
    if shown.usage:
        drawn = [
            (
                fill("<b>{}</b>", plot.label),
                spark(plot.values, title=f"{plot.label}: {plot.said}", bad=plot.bad),
                plot.said,
            )
            for plot in rendering.plots(shown.usage)
        ]
        shown_time = fill("<p><small>{}</small></p>", rendering.time_range(shown.usage))
        parts += [table((), drawn), shown_time]
    html = box(*parts, findings_html(shown.notes))
    return Shown(shown, rendering.dashboard_text(shown), html)
