"""Text of others is shown as text wherever it turns up, and never without end."""

import json
import re

import pytest

from sageturner_magic.deployment.events import (
    Announced,
    Deployment,
    Ended,
    Found,
    StepEnded,
    StepLogged,
    StepStarted,
    StepTitle,
)
from sageturner_magic.deployment.progress import Progress
from sageturner_magic.endpoints.kind import EndpointDescription, Price
from sageturner_magic.endpoints.measured.dashboard import Dashboard
from sageturner_magic.endpoints.measured.load_result import LoadTest, Timed
from sageturner_magic.endpoints.prediction import Prediction, SentRequest
from sageturner_magic.endpoints.usage import Usage
from sageturner_magic.errors import AwsError, Finding
from sageturner_magic.notebook.display.html import (
    code_shown,
    dashboard_shown,
    deployment_html,
    endpoints_shown,
)
from sageturner_magic.notebook.display.load_test import load_test_html
from sageturner_magic.notebook.display.predictions import prediction_html
from sageturner_magic.notebook.display.progress import log_html, steps_html
from sageturner_magic.values import Attempt
from tests.unit.notebook.test_html import Tags

HOSTILE = {
    "a picture that fails": "<img src=x onerror=alert(1)>",
    "a script": "</pre></td><script>alert(1)</script>",
    "an attribute": '" onmouseover="alert(1)',
    "colours": "\x1b[31mred\x1b[0m",
    "a window title": "\x1b]0;owned\x07",
    "one byte that begins a sequence": "\x9b2J",
    "letters turned round": "exe.\u202etxt",
    "no end": "x" * 1_000_000,
    "emoji": "😀👩‍👩‍👧 שלום مرحبا",
}
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
OURS = {
    *("div", "p", "b", "small", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "br"),
    *("code", "pre", "details", "summary", "a", "svg", "title", "rect", "line", "text"),
    *("span", "progress"),
}


def progress_of(text, *, failed):
    progress = Progress(text)
    progress.apply(Announced((StepTitle("load", text), StepTitle("wait", text))))
    progress.apply(Found((Finding(text, why=text, do=text, where=text, severity="warning"),)))
    progress.apply(StepStarted("load", 1.0))
    progress.apply(StepLogged("load", text))
    if failed is None:
        return progress
    progress.apply(StepEnded("load", "failed" if failed else "done", 2.0, text))
    error = AwsError(text, why=text, do=text, where=text, details=text) if failed else None
    deployment = Deployment("digits", "server", "abc", "", "", text, 2.0)
    progress.apply(Ended(3.0, None if failed else deployment, error))
    return progress


def prediction(text):
    sent = SentRequest(json.dumps({text: text}).encode(), "application/json", url="http://h:1")
    body = json.dumps({text: text, "rows": [{text: [text]}]}).encode()
    return Prediction("digits", body, "application/json", 200, 1.0, request=sent)


def endpoint(text):
    return EndpointDescription("digits", "server", text, text, 0.0, text, text, 0.1, text)


def plain_prediction(text):
    return Prediction("digits", text.encode(), "text/plain", 200, 1.0)


SHOWN = {
    "a deployment": lambda text: deployment_html(progress_of(text, failed=False)),
    "a failure": lambda text: deployment_html(progress_of(text, failed=True)),
    "the steps": lambda text: steps_html(progress_of(text, failed=None)),
    "the log": lambda text: log_html(progress_of(text, failed=None)),
    "a prediction": lambda text: prediction_html(prediction(text)),
    "a text": lambda text: prediction_html(plain_prediction(text)),
    "endpoints": lambda text: endpoints_shown([endpoint(text)], 9.0)._repr_html_(),
    "a dashboard": lambda text: dashboard_shown(
        Dashboard(endpoint(text), Usage(0.0, 60.0, ()), Price(0.1, 0.0), 9.0, (Finding(text),))
    )._repr_html_(),
    "a load test": lambda text: load_test_html(
        LoadTest("digits", 1, 1, 1.0, (Timed(Attempt(500, text, text), 0.1),), None, text)
    ),
    "code": lambda text: code_shown(text)._repr_html_(),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
def test_html_shows_it_as_text(show, text):
    html = show(text)
    parsed = Tags(html).seen
    assert {tag for tag, _ in parsed} <= OURS
    assert not any(name.startswith("on") for _, attributes in parsed for name in attributes)
    assert not OBEYED.search(html)
    assert len(html) < 250_000


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_plain_text_and_errors_are_not_obeyed(text):
    for shown in (
        repr(endpoints_shown([endpoint(text)], 9.0)),
        repr(code_shown(text)),
        *AwsError(text, why=text, details=text)._render_traceback_(),
    ):
        assert not OBEYED.search(shown)
