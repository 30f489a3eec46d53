"""Render results as static HTML that stays when the kernel is gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from sageturner_magic import rendering
from sageturner_magic.deployment import Deployment, Plan, Progress
from sageturner_magic.endpoints import EndpointDescription, Snippet
from sageturner_magic.endpoints.measured import Dashboard
from sageturner_magic.error_codes import KINDS
from sageturner_magic.errors import Cancelled, Finding, SageturnerError
from sageturner_magic.notebook.display.code import highlighted
from sageturner_magic.notebook.display.figures import spark
from sageturner_magic.notebook.display.markup import (
    box,
    facts_table,
    fill,
    fill_each,
    folded,
    preformatted,
    prose,
    table,
    without_maths,
)
from sageturner_magic.notebook.display.style import TONES, headline, toned
from sageturner_magic.rendering import (
    ENDPOINT_HEAD,
    endpoint_row,
    endpoints_text,
    endpoints_total,
)
from sageturner_magic.text import duration, excerpt, visible
from sageturner_magic.verbs import Report

LOG_LINES, LINE_LENGTH = 30, 500
"""Of a log or traceback that is shown: lines, and characters of each."""
REQUEST_LENGTH = 8000
MONEY = (ENDPOINT_HEAD.index("Cost"), ENDPOINT_HEAD.index("So far"))
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
    """List findings, each with its severity, its cause and what to do."""
    if not findings:
        return Markup()
    rows = [
        (toned(TONES[each.severity], fill("<b>{}</b>", each.severity)), finding_html(each))
        for each in findings
    ]
    return fill("<ul>{}</ul>", fill_each("<li>{}: {}</li>", rows))


def finding_html(finding: Finding) -> Markup:
    """Show what was found, where and why, what to do on its own line, and the code in small."""
    said = fill("{}", prose(finding.what))
    if finding.where:
        said += fill(" ({})", finding.where)
    if finding.why:
        said += fill(": {}", prose(finding.why))
    if finding.do:
        said += fill("<br>→ {}", prose(finding.do))
    if kind := KINDS.get(finding.code):
        said += fill(' <small title="{}">{}</small>', kind.title, toned("dim", finding.code))
    return said


# --- a deployment -------------------------------------------------------------------------


def deployment_html(progress: Progress) -> Markup:
    """Show a deployment that has ended."""
    rows = [
        (
            toned(TONES[rendering.state(step)], rendering.STATE_SIGN[rendering.state(step)]),
            step.title,
            duration(step.seconds()) if step.started is not None else "",
            toned("dim", rendering.remark(step)),
        )
        for step in progress.steps()
        if step.started is not None or not progress.error
    ]
    if progress.error:
        return box(
            headline_html(progress),
            error_html(progress.error),
            folded("Steps", table((), rows, figures=(2,))),
            findings_html(progress.findings),
        )
    return box(
        headline_html(progress),
        _calling_html(progress.deployment) if progress.deployment else Markup(),
        findings_html(progress.findings),
        table((), rows, figures=(2,)),
    )


def _calling_html(deployment: Deployment) -> Markup:
    """What runs, what it costs, how to call it and how to end it."""
    facts = [(label, _linked(value)) for label, value in rendering.deployment_facts(deployment)]
    sent = "the example" if deployment.example else "a request"
    return fill(
        "{}{}{}",
        facts_table(facts),
        highlighted(rendering.invoke_line(deployment), REQUEST_LENGTH),
        snippets_html(rendering.request_lines(deployment), sent),
    )


def _linked(value: str) -> Markup:
    """A fact: an address as a link, a command or a name between backticks as code."""
    if not value.startswith(("http://127.0.0.1", "https://")):
        return prose(value)
    address, _, rest = value.partition(" ")
    link = '<a href="{}" target="_blank" rel="noopener">{}</a> {}'
    return fill(link, address, address, rest)


def snippets_html(lines: Sequence[Snippet], sent: str = "it") -> Markup:
    """Show, folded, how a request is sent from elsewhere; `sent` is what the request is called."""
    if not lines:
        return Markup()
    blocks = ((line.label, preformatted(line.code, REQUEST_LENGTH)) for line in lines)
    return folded(f"Send {sent} from elsewhere", fill_each("<p><b>{}</b></p>{}", blocks))


def headline_html(progress: Progress) -> Markup:
    """Show what came of work in steps: its sign, and a line in bold."""
    deployment = progress.deployment
    said: object = rendering.headline(progress)
    if deployment and deployment.url:
        before, url, after = str(said).partition(deployment.url)
        said = fill("{}<code>{}</code>{}", before, url, after)
    state = "done"
    if progress.error:
        state = "cancelled" if isinstance(progress.error, Cancelled) else "failed"
    return headline(TONES[state], rendering.STATE_SIGN[state], said)


def error_html(error: SageturnerError) -> Markup:
    """Show what went wrong, what to do, and the lines that help."""
    return Markup().join(
        fill("<p>{}</p>{}", finding_html(each), details_html(each)) for each in error.findings
    )


def details_html(finding: Finding) -> Markup:
    """Show the last lines of a finding's log or traceback."""
    if not finding.details:
        return Markup()
    return preformatted(excerpt(finding.details, LOG_LINES, LINE_LENGTH), LOG_LINES * LINE_LENGTH)


# --- a plan -------------------------------------------------------------------------------


def plan_shown(plan: Plan) -> Shown:
    """What a deployment would do."""
    html = box(facts_table(rendering.plan_facts(plan)), findings_html(plan.findings))
    return Shown(plan, rendering.plan_text(plan), html)


def code_shown(source: str) -> Shown:
    """A module or a diff, highlighted."""
    return Shown(source, source, box(highlighted(source, CODE_LENGTH)))


def report_shown(report: Report) -> Shown:
    """What `doctor` found: the verdict, a line for each part, and folded what GPUs need."""
    ready = not report.wrong or report.wrong == ("Docker",)
    state = "done" if ready else "failed"
    rows = []
    for label, said in report.parts:
        of_part = "failed" if label in report.wrong else "done"
        sign = toned(TONES[of_part], rendering.STATE_SIGN[of_part])
        rows.append((sign, fill("<b>{}</b>", label), _remedy(said)))
    parts = [
        headline(TONES[state], rendering.STATE_SIGN[state], rendering.verdict(report)),
        table((), rows),
    ]
    if report.frameworks:
        head, *families = report.frameworks
        summary = "This environment's frameworks on SageMaker's instances"
        parts.append(folded(summary, table(head, families)))
    return Shown(report, rendering.text_of(report), box(*parts))


def _remedy(said: str) -> Markup:
    """A message with what to do on a line of its own."""
    what, _, do = said.partition(" Do: ")
    return fill("{}<br>→ {}", prose(what), prose(do)) if do else prose(what)


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
        table(ENDPOINT_HEAD, [endpoint_row(endpoint, now) for endpoint in endpoints], MONEY),
        fill("<p>{}</p>", total) if total else Markup(),
        findings_html(notes),
    )
    return Shown(endpoints, plain, html)


def _name_html(endpoint: EndpointDescription) -> Markup:
    """An endpoint's name as a headline, with a sign of whether it serves."""
    state = {"InService": "done", "Failed": "failed"}.get(endpoint.status, "running")
    return headline(TONES[state], rendering.STATE_SIGN[state], endpoint.name)


def dashboard_shown(shown: Dashboard) -> Shown:
    """One endpoint at a glance, with small plots of how it was used."""
    parts = [
        _name_html(shown.endpoint),
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
