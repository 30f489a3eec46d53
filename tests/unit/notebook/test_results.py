"""A result says each thing once, what matters first, and what to do next."""

import json
import re
from html import unescape
from types import SimpleNamespace

import pytest
from markupsafe import Markup

from sageturner_magic.deployment.events import (
    Announced,
    Deployment,
    Ended,
    StepEnded,
    StepStarted,
    StepTitle,
)
from sageturner_magic.deployment.progress import Progress
from sageturner_magic.endpoints.kind import Price
from sageturner_magic.errors import DeploymentCancelled, EndpointError, Finding
from sageturner_magic.notebook.display.code import highlighted
from sageturner_magic.notebook.display.html import deployment_html, findings_html, report_shown
from sageturner_magic.notebook.display.progress import deployment_ended, told
from sageturner_magic.rendering.deployments import deployment_text
from sageturner_magic.verbs.diagnosis import Report

TRACEBACK = "Traceback (most recent call last):\n  In[2], line 6, in load\nKeyError: 'euros'"
FAILED = EndpointError(
    "load raised KeyError: 'euros'",
    why="the file has no `euros`",
    do="fix `load()` and deploy again",
    details=TRACEBACK,
)


def ended(deployment=None, error=None):
    progress = Progress("prices")
    progress.apply(Announced((StepTitle("load", "Load the model"), StepTitle("s", "Switch"))))
    progress.apply(StepStarted("load", 1.0))
    progress.apply(StepEnded("load", "failed" if error else "done", 2.0))
    progress.apply(Ended(3.0, deployment, error))
    return progress


def deployed(**more):
    return Deployment("prices", "serverless", "0" * 12, "", "", "In[2], In[3]", 60.0, **more)


def words(html):
    """The text of a page, with a space for each tag."""
    return " ".join(unescape(re.sub("<[^>]*>", " ", html)).split())


def test_a_failure_is_said_once_with_sign_colour_code_and_what_to_do():
    html = deployment_html(ended(error=FAILED))
    assert words(html).startswith("✗ prices was not deployed load raised KeyError")
    assert re.match(r'<div class="sageturner"><p><span style="color:[^"]+">✗</span>', html)
    assert html.count("load raised") == html.count("Traceback") == 1
    assert "<code>euros</code>" in html and "→ fix <code>load()</code>" in html
    assert "Switch" not in html
    stopped = deployment_html(ended(error=DeploymentCancelled("It was stopped")))
    assert words(stopped).startswith("■ prices was not deployed")


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        ({"allow_stdin": True}, "EndpointError: load raised KeyError: 'euros'"),
        ({"allow_stdin": False}, f"EndpointError: {FAILED} [ST80]"),
        ({}, f"EndpointError: {FAILED} [ST80]"),
    ],
)
def test_below_the_failure_a_cell_names_the_error_and_where_nobody_looks_what_to_do(kernel, said):
    shell = SimpleNamespace(kernel=SimpleNamespace(get_parent=lambda _: {"content": kernel}))
    again = EndpointError.of(FAILED.findings)
    assert told(shell, again)._render_traceback_() == [said]
    assert str(told(shell, again)) == str(FAILED)


def test_a_terminal_has_the_whole_error():
    again = EndpointError.of(FAILED.findings)
    assert TRACEBACK in told(SimpleNamespace(), again)._render_traceback_()[0]


@pytest.mark.parametrize("part", ["what", "why", "do", "where", "details"])
def test_a_message_or_line_of_a_megabyte_is_clipped_everywhere(part):
    huge = "x" * 1_000_000
    details = {"details": f"first\n{huge}\nthe last line"} if part == "details" else {part: huge}
    error = EndpointError.of([Finding(**{"what": "no", **details})])
    progress = ended(error=error)
    for shown in (
        str(error),
        error.report(),
        *error._render_traceback_(),
        deployment_html(progress),
        deployment_text(progress),
        findings_html(error.findings),
    ):
        assert len(shown) < 10_000
    if part == "details":
        assert "the last line" in error.report() and "the last line" in deployment_html(progress)


def test_success_says_where_it_runs_what_it_costs_and_how_to_look_at_it_and_end_it():
    price = Price(0.0, 0.00004)
    html = deployment_html(ended(deployed(region="eu-west-1", price=price)))
    assert words(html).startswith("✓ prices, deployed in")
    assert "SageMaker, serverless, eu-west-1" in html
    assert "$4.00 per million requests of 100 ms, nothing while idle" in html
    console = "https://eu-west-1.console.aws.amazon.com/sagemaker/home?region=eu-west-1"
    assert f'href="{console}#/endpoints/prices"' in html
    assert "<code>%sageturner delete prices</code>" in html
    plain = deployment_text(ended(deployed(region="cn-north-1")))
    assert "https://console.amazonaws.cn/" in plain and "%sageturner delete prices" in plain
    assert "not known" in plain and "pricing:GetProducts" in plain


def test_a_request_to_copy_is_there_from_the_example_the_last_request_or_the_code():
    outline = json.dumps({"tea": "…"}, ensure_ascii=False)
    sent = {"prices": '{"tea": 2}'}
    for deployment, last, request in (
        (deployed(example='{"tea": 1}', outline=outline), sent, '{"tea": 1}'),
        (deployed(outline=outline), sent, '{"tea": 2}'),
        (deployed(outline=outline), {}, outline),
        (deployed(), {}, "{}"),
    ):
        html, plain = deployment_ended(
            lambda name, last=last: last.get(name, ""), ended(deployment)
        )
        line = f"%sageturner invoke prices {request}"
        assert line in plain and line in Markup(html).striptags()
        assert "from elsewhere" in html and "boto3" in html


def test_a_diff_and_code_are_highlighted_and_nothing_of_them_is_lost():
    for code in ("--- deployed\n+++ here\n-old <b>\n+new", "\n\ndef load():\n    return 1  # x\n"):
        html = highlighted(code, 1000)
        assert Markup(html).unescape().count("<span style=") > 1
        assert re.sub("<[^>]*>", "", html) == str(Markup.escape(code))


def test_the_doctor_says_its_verdict_first_and_folds_what_gpus_need():
    parts = (("Docker", "no engine. Do: start it"), ("AWS", "account 1"))
    table = (("instances", "remark"), ("g5", "CUDA"))
    good = report_shown(Report(parts, (), ("Docker",)))._repr_html_()
    assert words(good).startswith("✓ Ready for local endpoints and for SageMaker")
    assert "GPU" not in good and "instances" not in good and "<details" not in good
    bad = report_shown(Report(parts, table, ("AWS",)))._repr_html_()
    assert words(bad).startswith("✗ Ready for local endpoints; not yet for SageMaker: AWS")
    assert bad.index("<details") < bad.index("CUDA") and "→ start it" in bad
