"""Results are plain semantic HTML, and nothing in them can run."""

import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.deployment.events import (
    Announced,
    Deployment,
    Ended,
    StepEnded,
    StepLogged,
    StepStarted,
    StepTitle,
)
from sageturner_magic.deployment.progress import Progress
from sageturner_magic.endpoints.kind import EndpointDescription
from sageturner_magic.endpoints.prediction import Prediction, SentRequest
from sageturner_magic.errors import EndpointError
from sageturner_magic.notebook.display.html import code_shown, deployment_html, endpoints_shown
from sageturner_magic.notebook.display.predictions import prediction_html, tree
from sageturner_magic.notebook.payload import evaluate
from sageturner_magic.rendering import deployments
from sageturner_magic.rendering.deployments import deployment_text
from sageturner_magic.rendering.responses import prediction_text

HOSTILE = "<img src=x onerror=alert(1)>"


class Tags(HTMLParser):
    """The tags and attributes of a piece of HTML."""

    def __init__(self, html):
        super().__init__()
        self.seen = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))


def tags(html):
    return [tag for tag, _ in Tags(html).seen]


def prediction(value, content_type="application/json"):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Prediction("digits", body, content_type, 200, 3.21)


@pytest.mark.parametrize("value", [HOSTILE, {HOSTILE: HOSTILE}, [HOSTILE], [{HOSTILE: HOSTILE}]])
def test_hostile_predictions_are_text(value):
    assert "img" not in tags(prediction_html(prediction(value)))


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_value_becomes_a_tree_without_foreign_tags(value):
    assert set(tags(tree(value))) <= {"details", "summary", "ul", "li", "code", "b"}


def test_records_are_a_table():
    html = prediction_html(prediction([{"label": "cat", "p": 0.9}, {"label": "dog", "p": 0.1}]))
    assert tags(html).count("tr") == 3


def test_latency_and_status_are_shown():
    assert "HTTP 200 · 3.2 ms" in prediction_html(prediction({"digit": 4}))


def test_a_huge_answer_is_cut_and_counted():
    html = prediction_html(prediction(list(range(100_000))))
    assert len(html) < 50_000
    assert "99,800 more" in html


def test_many_numbers_begin_where_they_are_folded():
    html = prediction_html(prediction({"vectors": [[0.5] * 384, [0.25] * 384]}))
    assert "<summary>384 numbers: 0.5, 0.5, 0.5, 0.5, …</summary>" in html
    assert "… 184 more" in html


def test_as_text_a_long_answer_shows_what_surrounds_its_numbers():
    shown = prediction_text(prediction({"vectors": [[0.5] * 384] * 2, "model": "minilm"}))
    assert '"… 376 more numbers"' in shown and '"model": "minilm"' in shown
    assert len(shown) < 400
    short = [1.5] * 20
    assert json.dumps(short) in prediction_text(prediction(short))


class Preformatted(HTMLParser):
    """Whether all text in <pre> is in <code>."""

    def __init__(self, html):
        super().__init__()
        self.inside, self.bare = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.inside.append(tag)

    def handle_endtag(self, tag):
        self.inside.pop()

    def handle_data(self, data):
        if "pre" in self.inside and "code" not in self.inside:
            self.bare.append(data)


def test_what_is_written_in_columns_has_a_font_of_equal_widths_in_nbconverts_page_too():
    failed = ended_progress(EndpointError("no", details="Traceback\n  In[3]"))
    for html in (
        code_shown("def load():\n    pass")._repr_html_(),
        deployment_html(ended_progress()),
        deployment_html(failed),
        prediction_html(prediction("an\n  answer")),
    ):
        assert re.search("<pre[^>]*><code>", html)
        assert not Preformatted(html).bare


def ended_progress(error=None):
    progress = Progress("digits")
    progress.apply(Announced((StepTitle("load", "Load the model"),)))
    progress.apply(StepStarted("load", 1.0))
    progress.apply(StepLogged("load", HOSTILE))
    progress.apply(StepEnded("load", "failed" if error else "done", 2.0, HOSTILE))
    deployment = Deployment(
        "digits", "local", "abc", "http://127.0.0.1:5000", "secret", "In[3], In[4]", 2.0
    )
    progress.apply(Ended(3.0, None if error else deployment, error))
    return progress


def test_a_finished_deployment_shows_address_code_and_how_to_call_it():
    html = deployment_html(ended_progress())
    assert "<code>http://127.0.0.1:5000</code>" in html
    assert "In[3], In[4]" in html
    assert "curl http://127.0.0.1:5000/invocations" in html
    assert "img" not in tags(html)


EXAMPLE = '{"text": "it\'s <b>good</b>"}'


@pytest.mark.parametrize(
    ("place", "labels"),
    [
        ({"url": "http://127.0.0.1:5000", "token": "secret"}, ["curl", "Python"]),
        ({"region": "eu-west-1", "profile": "lab"}, ["boto3", "AWS CLI", "Python"]),
    ],
)
def test_a_deployment_is_called_with_the_example_of_its_code(place, labels):
    deployment = Deployment(
        **{"url": "", "token": "", **place},
        name="words",
        endpoint_type="local" if "url" in place else "serverless",
        version="abc",
        origin="In[1]",
        seconds=2.0,
        example=EXAMPLE,
    )
    lines = deployments.request_lines(deployment)
    assert [line.label for line in lines] == labels
    assert all("good" in line.code and "…" not in line.code for line in lines)
    command = shlex.split(deployments.invoke_command(deployment))
    assert (command[0], command[-2:]) == ("sageturner", ["words", EXAMPLE])
    assert ("--region" in command) == ("region" in place)
    progress = Progress("words")
    progress.apply(Ended(3.0, deployment, None))
    html, plain = deployment_html(progress), deployment_text(progress)
    assert "Send the example from elsewhere" in html
    assert f"%sageturner invoke words {EXAMPLE}" in plain and "…" not in plain
    assert "<b>good</b>" not in html and "&lt;b&gt;good" in html


def test_a_long_example_is_written_short_and_can_be_copied():
    example = json.dumps({"pixels": [0.0] * 64, "raw": True})
    deployment = Deployment("d", "local", "v", "http://h", "t", "In[1]", 1.0, example=example)
    line = deployments.invoke_line(deployment)
    assert line == '%sageturner invoke d {"pixels": [0.0] * 64, "raw": True}'
    assert evaluate(line.split(maxsplit=3)[3], {}) == json.loads(example)
    assert example in deployments.curl(deployment)
    huge = replace(deployment, example=json.dumps("x" * 5000))
    assert deployments.request_lines(huge) == () and deployments.invoke_command(huge) == ""
    assert "{…}" in deployments.curl(huge)
    assert deployments.invoke_line(huge) == "%sageturner invoke d example_request()"


def test_a_failed_deployment_shows_cause_remedy_and_log():
    error = EndpointError(
        "load() raised", why=HOSTILE, do="fix it", where="In[3], line 4", details=HOSTILE
    )
    html = deployment_html(ended_progress(error))
    assert "fix it" in html and "In[3], line 4" in html
    assert "img" not in tags(html)
    text = deployment_text(ended_progress(error))
    assert "Do: fix it" in text


def test_results_have_no_script_and_no_handler():
    for html in (deployment_html(ended_progress()), prediction_html(prediction({"a": [1]}))):
        for tag, attributes in Tags(html).seen:
            assert tag not in ("script", "style", "iframe")
            assert not any(name.startswith("on") for name in attributes)


def test_endpoints_are_a_table_and_none_says_what_to_do():
    one = EndpointDescription(
        "digits", "local", "InService", "abc", 0.0, HOSTILE, "http://127.0.0.1:1", 0.0
    )
    html = endpoints_shown([one], 60.0)._repr_html_()
    assert "InService" in html and "1 min 0 s" in html and "img" not in tags(html)
    assert "deploy" in repr(endpoints_shown([], 0.0))


def test_an_endpoint_on_sagemaker_shows_its_code_and_how_to_call_it_without_an_address():
    progress = Progress("digits")
    deployment = Deployment("digits", "serverless", "abc", "", "", "In[3], In[4]", 60.0)
    progress.apply(Ended(3.0, deployment, None))
    html = deployment_html(progress)
    assert "In[3], In[4]" in html and "%sageturner invoke digits" in html
    assert "curl" not in html and "href" not in html


def test_a_picture_is_shown_with_how_it_was_answered():
    html = prediction_html(prediction(b"\x89PNG\r\n\x1a\n...", "image/png"))
    (picture,) = [attributes for tag, attributes in Tags(html).seen if tag == "img"]
    assert picture["src"].startswith("data:image/png;base64,iVBORw0KGgo")
    assert "HTTP 200 · 3.2 ms" in html


def test_nested_records_are_a_table_whose_cells_fold():
    html = prediction_html(prediction([{"box": [[1, 2], [3, 4]], "label": "cat"}]))
    assert tags(html).count("tr") == 2 and "details" in tags(html)


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1_000_000,
        ["x" * 1000] * 5000,
        [[[0.5] * 100] * 100] * 100,
        {f"key {i}": {"inner": ["y" * 500]} for i in range(5000)},
        [{f"column {i}": "z" * 300 for i in range(100)}] * 500,
    ],
)
def test_no_answer_makes_the_notebook_heavy(value):
    assert len(prediction_html(prediction(value))) < 200_000


def test_an_answer_that_is_nested_without_end_is_shown_in_part():
    value = []
    for _ in range(500):
        value = [value]
    assert "…" in prediction_html(prediction(value))


def test_how_to_ask_from_elsewhere_is_folded_below_the_answer():
    sent = SentRequest(b'{"a": 1}', "application/json", url="http://127.0.0.1:5000", token="t")
    answer = Prediction("digits", b"1", "application/json", 200, 1.0, request=sent)
    html = prediction_html(answer)
    assert "curl http://127.0.0.1:5000/invocations" in html
    assert "endpoint.invoke({&#39;a&#39;: 1})" in html


def test_escape_sequences_in_an_answer_are_shown_as_symbols():
    assert "␛[31m" in prediction_html(prediction({"\x1b[31m": "\x1b[31m"}))
    assert "␛[31m" in prediction_text(prediction("\x1b[31m"))
