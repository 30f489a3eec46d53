"""What is said of containers, without any."""

from __future__ import annotations

import pytest

from sageturner_magic.endpoints.container.runner import Exit, exit_reason, refusal
from sageturner_magic.endpoints.container.smoke import defines_example
from sageturner_magic.values import CapturedModule, SourceFile


@pytest.mark.parametrize(
    ("complaint", "why"),
    [
        (
            'OCI runtime create failed: exec: "serve": executable file not found in $PATH',
            "no program `serve`",
        ),
        ('exec: "/app": stat /app: no such file or directory', "does not exist in it"),
        ("exec /usr/bin/python: exec format error", "another processor"),
        ('exec: "/app": permission denied: unknown', "may not be executed"),
        ("No such image: digits:1", "does not have it"),
    ],
)
def test_a_refusal_is_explained_with_a_remedy(complaint: str, why: str) -> None:
    (finding,) = refusal("digits:1", complaint).findings
    assert why in finding.why
    assert finding.do
    assert finding.details == complaint


def test_an_unknown_refusal_is_quoted() -> None:
    assert "the moon is full" in str(refusal("digits:1", "the moon is full"))


@pytest.mark.parametrize(
    ("ended", "reason"),
    [
        (Exit(137, out_of_memory=True), "more than its memory of 1024 MB"),
        (Exit(137), "signal 9"),
        (Exit(143), "signal 15"),
        (Exit(137, forced=True), "SIGTERM"),
        (Exit(127), "not found"),
        (Exit(3), "status 3"),
        (Exit(-1), "removed"),
    ],
)
def test_why_a_container_ended_is_said_in_words(ended: Exit, reason: str) -> None:
    assert reason in exit_reason(ended, 1024)


@pytest.mark.parametrize(
    ("source", "defined"),
    [
        ("def example_request(): return 1", True),
        ("from helpers import example_request", True),
        ("example_request = lambda: 1", True),
        ("def predict(m, r): return example_request", False),
        ("class A:\n    def example_request(self): pass", False),
        ("x = 'example_request'", False),
    ],
)
def test_an_example_request_is_one_of_the_modules_own_names(source: str, defined: bool) -> None:
    module = CapturedModule("In[1]", (SourceFile("sageturner.py", source.encode()),))
    assert defines_example(module) is defined
