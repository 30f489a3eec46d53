"""Make a test of every rule: `pytest --sageturner-url http://127.0.0.1:8080`."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import RULES, Inquiry, Rule, ServerUnderTest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that name the server."""
    group = parser.getgroup("sageturner", "SageMaker's container contract")
    group.addoption("--sageturner-url", metavar="URL", help="check the server at this URL")
    group.addoption(
        "--sageturner-body", metavar="BODY", help="a request that the model can answer, or @file"
    )
    group.addoption("--sageturner-content-type", default="application/json", metavar="TYPE")


def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Append the rules to the tests that were found."""
    url = config.getoption("--sageturner-url")
    if not url:
        return
    body = config.getoption("--sageturner-body")
    try:
        target = ServerUnderTest.at(
            url,
            body=None if body is None else _read(body),
            content_type=config.getoption("--sageturner-content-type"),
        )
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    inquiry = Inquiry(target)
    items += [
        RuleTest.from_parent(session, name=f"sageturner::{rule.name}", rule=rule, inquiry=inquiry)
        for rule in RULES
    ]


def _read(body: str) -> bytes:
    return Path(body[1:]).read_bytes() if body.startswith("@") else body.encode()


class BrokenRule(Exception):
    """The server breaks a required rule."""


class RuleTest(pytest.Item):
    """One rule. An advised one that is broken is an expected failure, as for the command line."""

    def __init__(self, *, rule: Rule, inquiry: Inquiry, **given: object) -> None:
        super().__init__(**given)  # type: ignore[arg-type]
        self.rule = rule
        self.inquiry = inquiry

    def runtest(self) -> None:
        """Ask for the rule."""
        result = self.inquiry.ask(self.rule)
        if result.outcome == "skipped":
            pytest.skip(result.evidence)
        if result.outcome == "failed" and not result.required:
            pytest.xfail(f"advised: {result.text}: {result.evidence}")
        if result.outcome == "failed":
            raise BrokenRule(f"{result.text}: {result.evidence}")

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None
    ) -> str:
        """The evidence alone; the traceback would be the kit's own."""
        if isinstance(excinfo.value, BrokenRule):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[str, int, str]:
        """Name the rule in the report."""
        return "sageturner", 0, self.rule.text
