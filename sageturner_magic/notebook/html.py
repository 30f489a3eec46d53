"""Results as static HTML and as text: what is left in the notebook when the kernel is gone.

In an untrusted notebook styles, roles and classes may be stripped, so the HTML reads well as
plain semantic elements. Everything that comes from outside is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from sageturner_magic.deployment import words
from sageturner_magic.deployment.events import Deployment
from sageturner_magic.deployment.plan import Plan
from sageturner_magic.deployment.progress import Progress
from sageturner_magic.deployment.trial import Tried
from sageturner_magic.deployment.words import clip
from sageturner_magic.errors import Finding
from sageturner_magic.targets.endpoint import EndpointDescription
from sageturner_magic.targets.prediction import Prediction

TREE_ITEMS = 200
"""Entries shown of one list or object; the rest is counted."""

TABLE_ROWS = 50
OPEN_DEPTH = 2
LOG_LINES = 30


class Shown:
    """A value with the way it is shown.

    Attributes:
        data: The value itself.
    """

    def __init__(self, data: Any, text: str, html: str) -> None:
        self.data = data
        self._text = text
        self._html = html

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._html


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
        f"<li><b>{finding.severity}</b>: {escape(clip(str(finding)))}</li>" for finding in findings
    )
    return f"<ul>{items}</ul>"


# --- a deployment -------------------------------------------------------------------------


def deployment_html(progress: Progress) -> str:
    """A deployment that has ended, as HTML."""
    rows = [
        [
            f"{words.STATE_SIGN[words.state(step)]} {escape(step.title)}",
            words.duration(step.seconds()) if step.started is not None else "",
            escape(clip(words.remark(step))),
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
    invoke = f"<code>%sageturner invoke {escape(deployment.name)} …</code>"
    curl = f" or</p><pre>{escape(words.curl(deployment))}</pre>" if deployment.url else "</p>"
    return (
        f"<p>Code: {escape(deployment.origin)}. Version {deployment.version}.{docs}</p>"
        f"<p>Try {invoke}{curl}"
    )


def _headline_html(progress: Progress) -> str:
    deployment = progress.deployment
    if progress.error or deployment is None or not deployment.url:
        return escape(words.headline(progress))
    link = f"<code>{escape(deployment.url)}</code>"
    return escape(words.outcome(deployment)).replace(escape(deployment.url), link, 1)


def _error_html(progress: Progress) -> str:
    assert progress.error is not None
    parts = []
    for finding in progress.error.findings:
        where = f" ({escape(finding.where)})" if finding.where else ""
        why = f": {escape(clip(finding.why))}" if finding.why else ""
        do = f"<br>→ {escape(clip(finding.do))}" if finding.do else ""
        parts.append(f"<p><b>{escape(clip(finding.what))}</b>{where}{why}{do}</p>")
        if finding.details:
            lines = finding.details.rstrip().splitlines()[-LOG_LINES:]
            parts.append(f"<pre>{escape(clip(chr(10).join(lines), 4000))}</pre>")
    return "".join(parts)


# --- a plan -------------------------------------------------------------------------------


def plan_shown(plan: Plan) -> Shown:
    """What a deployment would do."""
    facts = words.plan_facts(plan)
    rows = [[f"<b>{escape(label)}</b>", escape(value)] for label, value in facts]
    html = f'<div class="sageturner">{table((), rows)}{findings_html(plan.findings)}</div>'
    return Shown(plan, words.plan_text(plan), html)


def code_shown(source: str) -> Shown:
    """A module or a diff as it is written."""
    return Shown(source, source, f"<pre>{escape(source)}</pre>")


# --- endpoints ----------------------------------------------------------------------------


def endpoints_shown(
    endpoints: Sequence[EndpointDescription], now: float, notes: Sequence[Finding] = ()
) -> Shown:
    """Endpoints as a table. `now` is in seconds since the epoch."""
    text = words.endpoints_text(endpoints, now)
    text = "\n".join([text, *(f"{note.severity}: {note}" for note in notes)])
    if not endpoints:
        return Shown(endpoints, text, f"<p>{escape(text)}</p>")
    rows = [[escape(cell) for cell in words.endpoint_row(endpoint, now)] for endpoint in endpoints]
    return Shown(
        endpoints, text, f'<div class="sageturner">{table(words.ENDPOINT_HEAD, rows)}</div>'
    )


# --- a prediction -------------------------------------------------------------------------


def prediction_html(prediction: Prediction) -> str:
    """A prediction as HTML: a table for records, a picture for images, a tree for the rest."""
    shown = _answer_html(prediction.value, prediction.content_type)
    summary = escape(words.prediction_summary(prediction))
    return f'<div class="sageturner">{shown}<p><small>{summary}</small></p></div>'


def tried_shown(tried: Tried) -> Shown:
    """What came of trying a model in a clean process."""
    trial = tried.trial
    shown = _answer_html(tried.value, trial.content_type) if trial.asked else ""
    lines = f"{escape(words.tried_summary(tried))}<br>Code: {escape(tried.origin)}"
    html = f"{shown}<p><small>{lines}</small></p>{findings_html(tried.findings)}"
    return Shown(tried, words.tried_text(tried), f'<div class="sageturner">{html}</div>')


def _answer_html(value: Any, content_type: str) -> str:
    if isinstance(value, bytes):
        return _bytes_html(value, content_type)
    if isinstance(value, str):
        return f"<pre>{escape(clip(value))}</pre>"
    if _is_records(value):
        return _records_html(value)
    if isinstance(value, dict) and 0 < len(value) <= TABLE_ROWS and _is_flat(value):
        return table((), [[f"<b>{escape(key)}</b>", _scalar(item)] for key, item in value.items()])
    return tree(value)


def _bytes_html(value: bytes, content_type: str) -> str:
    media = content_type.partition(";")[0]
    if media in ("image/gif", "image/webp", "image/bmp"):
        encoded = base64.b64encode(value).decode()
        return f'<img src="data:{media};base64,{encoded}" alt="the predicted picture">'
    return f"<p>{len(value):,} bytes of {escape(media)}</p>"


def _is_records(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(row, dict) and row and _is_flat(row) for row in value)
    )


def _is_flat(row: dict[str, Any]) -> bool:
    return not any(isinstance(cell, (dict, list)) for cell in row.values())


def _records_html(records: list[dict[str, Any]]) -> str:
    head = list(dict.fromkeys(key for row in records[:TABLE_ROWS] for key in row))
    rows = [
        [_scalar(row[key]) if key in row else "" for key in head] for row in records[:TABLE_ROWS]
    ]
    more = len(records) - TABLE_ROWS
    note = f"<p><small>{more:,} more rows</small></p>" if more > 0 else ""
    return table(head, rows) + note


def tree(value: object, depth: int = 0) -> str:
    """A JSON value as nested lists that fold."""
    pairs: list[tuple[str, object]]
    if isinstance(value, Mapping):
        pairs = [(f"<b>{escape(clip(str(key), 200))}</b>: ", item) for key, item in value.items()]
        kind = "1 key" if len(pairs) == 1 else f"{len(pairs):,} keys"
    elif isinstance(value, (list, tuple)):
        if len(value) <= TREE_ITEMS and not any(isinstance(i, (Mapping, list)) for i in value):
            return f"<code>{escape(clip(words.as_json(value)))}</code>"
        pairs = [(f"{index}: ", item) for index, item in enumerate(value)]
        kind = f"{len(pairs):,} items"
    elif hasattr(value, "tolist"):
        return f"<pre>{escape(clip(str(value)))}</pre>"
    else:
        return _scalar(value)
    items = "".join(
        f"<li>{label}{tree(item, depth + 1)}</li>" for label, item in pairs[:TREE_ITEMS]
    )
    if len(pairs) > TREE_ITEMS:
        items += f"<li>… {len(pairs) - TREE_ITEMS:,} more</li>"
    unfolded = " open" if depth < OPEN_DEPTH else ""
    return f"<details{unfolded}><summary>{kind}</summary><ul>{items}</ul></details>"


def _scalar(value: object) -> str:
    text = value if isinstance(value, str) else words.as_json(value)
    return f"<code>{escape(clip(text))}</code>"
