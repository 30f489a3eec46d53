"""Results as static HTML and as text: what is left in the notebook when the kernel is gone.

In an untrusted notebook styles, roles and classes may be stripped, so the HTML reads well as
plain semantic elements. Everything that comes from outside is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from sageturner_magic.deployment.dashboard import Dashboard
from sageturner_magic.deployment.events import Deployment
from sageturner_magic.deployment.plan import Plan
from sageturner_magic.deployment.progress import Progress
from sageturner_magic.deployment.snippets import Snippet
from sageturner_magic.errors import Finding
from sageturner_magic.notebook.figures import spark
from sageturner_magic.rendering import dashboards, deployments, plans
from sageturner_magic.rendering.endpoints import (
    ENDPOINT_HEAD,
    endpoint_row,
    endpoints_text,
    endpoints_total,
)
from sageturner_magic.targets.endpoint import EndpointDescription
from sageturner_magic.text import TEXT_LENGTH, clip, duration, nearby, visible

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
        self._html = html

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._html


def text(foreign: str, length: int = TEXT_LENGTH) -> str:
    """HTML that shows `foreign` as it was written, at most `length` characters of it."""
    return escape(visible(clip(foreign, length)))


def preformatted(foreign: str, length: int = TEXT_LENGTH) -> str:
    """The same with its line breaks and columns, in a font of equal widths.

    The page that nbconvert makes gives <pre> in an output the font of the words around it; <code>
    keeps its own everywhere.
    """
    return f"<pre><code>{text(foreign, length)}</code></pre>"


# Jupyter aligns the cells of tables to the right, which suits figures but not words.
LEFT = ' style="text-align:left"'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the cells are HTML already."""
    top = "".join(f"<th{LEFT}>{escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td{LEFT}>{cell}</td>" for cell in row) + "</tr>" for row in rows
    )
    top = f"<thead><tr>{top}</tr></thead>" if head else ""
    return f"<table>{top}<tbody>{body}</tbody></table>"


def findings_html(findings: Sequence[Finding]) -> str:
    """A list of findings, the kind of each in bold."""
    if not findings:
        return ""
    items = "".join(
        f"<li><b>{finding.severity}</b>: {text(str(finding))}</li>" for finding in findings
    )
    return f"<ul>{items}</ul>"


# --- a deployment -------------------------------------------------------------------------


def deployment_html(progress: Progress) -> str:
    """A deployment that has ended, as HTML."""
    rows = [
        [
            f"{deployments.STATE_SIGN[deployments.state(step)]} {text(step.title)}",
            duration(step.seconds()) if step.started is not None else "",
            text(deployments.remark(step)),
        ]
        for step in progress.steps()
    ]
    parts = [f"<p><b>{_headline_html(progress)}</b></p>", table((), rows)]
    parts.append(findings_html(progress.findings))
    if progress.error:
        parts.append(_error_html(progress))
    elif progress.deployment:
        parts.append(_calling_html(progress.deployment))
    return f'<div class="sageturner">{"".join(parts)}</div>'


def _calling_html(deployment: Deployment) -> str:
    """What runs, and how to call it."""
    docs = ""
    if deployment.url:
        page = escape(f"{deployment.url}/docs?token={deployment.token}")
        docs = f' <a href="{page}" target="_blank" rel="noopener">API documentation</a>'
    lines = deployments.request_lines(deployment)
    elsewhere = snippets_html(lines, "the example")
    if deployment.url and not lines:
        elsewhere = f"<p>or</p>{preformatted(deployments.curl(deployment))}"
    return (
        f"<p>Code: {text(nearby(deployment.origin))}. Version {deployment.version}.{docs}</p>"
        f"<p>Try <code>{text(deployments.invoke_line(deployment))}</code></p>{elsewhere}"
    )


def snippets_html(lines: Sequence[Snippet], sent: str = "it") -> str:
    """How a request is sent from elsewhere, folded; `sent` is what it is called."""
    if not lines:
        return ""
    blocks = "".join(f"<p><b>{line.label}</b></p>{preformatted(line.code, 8000)}" for line in lines)
    return f"<details><summary>Send {sent} from elsewhere</summary>{blocks}</details>"


def _headline_html(progress: Progress) -> str:
    deployment = progress.deployment
    if progress.error or deployment is None or not deployment.url:
        return text(deployments.headline(progress))
    link = f"<code>{escape(deployment.url)}</code>"
    return escape(deployments.outcome(deployment)).replace(escape(deployment.url), link, 1)


def _error_html(progress: Progress) -> str:
    assert progress.error is not None
    parts = []
    for finding in progress.error.findings:
        where = f" ({text(finding.where)})" if finding.where else ""
        why = f": {text(finding.why)}" if finding.why else ""
        do = f"<br>→ {text(finding.do)}" if finding.do else ""
        parts.append(f"<p><b>{text(finding.what)}</b>{where}{why}{do}</p>")
        if finding.details:
            lines = finding.details.rstrip().splitlines()[-LOG_LINES:]
            parts.append(preformatted("\n".join(lines), 4000))
    return "".join(parts)


# --- a plan -------------------------------------------------------------------------------


def plan_shown(plan: Plan) -> Shown:
    """What a deployment would do."""
    facts = plans.plan_facts(plan)
    rows = [[f"<b>{escape(label)}</b>", text(value)] for label, value in facts]
    html = f'<div class="sageturner">{table((), rows)}{findings_html(plan.findings)}</div>'
    return Shown(plan, plans.plan_text(plan), html)


def code_shown(source: str) -> Shown:
    """A module or a diff as it is written."""
    html = f'<div class="sageturner">{preformatted(source, CODE_LENGTH)}</div>'
    return Shown(source, source, html)


# --- endpoints ----------------------------------------------------------------------------


def endpoints_shown(
    endpoints: Sequence[EndpointDescription], now: float, notes: Sequence[Finding] = ()
) -> Shown:
    """Endpoints as a table, with what they cost. `now` is in seconds since the epoch."""
    plain = endpoints_text(endpoints, now)
    plain = "\n".join([plain, *(f"{note.severity}: {note}" for note in notes)])
    if not endpoints:
        return Shown(endpoints, plain, f"<p>{text(plain)}</p>")
    rows = [[text(cell) for cell in endpoint_row(endpoint, now)] for endpoint in endpoints]
    parts = [table(ENDPOINT_HEAD, rows)]
    if total := endpoints_total(endpoints, now):
        parts.append(f"<p>{escape(total)}</p>")
    parts.append(findings_html(notes))
    return Shown(endpoints, plain, f'<div class="sageturner">{"".join(parts)}</div>')


def dashboard_shown(shown: Dashboard) -> Shown:
    """One endpoint at a glance, with small plots of how it was used."""
    rows = [[f"<b>{label}</b>", text(value)] for label, value in dashboards.facts(shown)]
    parts = [f"<p><b>{text(shown.endpoint.name)}</b></p>", table((), rows)]
    if shown.usage:
        drawn = [
            [
                f"<b>{plot.label}</b>",
                spark(plot.values, title=f"{plot.label}: {plot.said}", bad=plot.bad),
                text(plot.said),
            ]
            for plot in dashboards.plots(shown.usage)
        ]
        parts += [
            table((), drawn),
            f"<p><small>{text(dashboards.time_range(shown.usage))}</small></p>",
        ]
    parts.append(findings_html(shown.notes))
    html = f'<div class="sageturner">{"".join(parts)}</div>'
    return Shown(shown, dashboards.text(shown), html)
