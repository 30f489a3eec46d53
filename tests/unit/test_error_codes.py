"""Every error and warning has a code, and every code its entry in the table that the site shows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sageturner_magic import errors
from sageturner_magic.cli import main
from sageturner_magic.error_codes import KINDS
from sageturner_magic.errors import Cancelled, ConfigError, Finding, SageturnerError, UsageError
from sageturner_magic.notebook.display.html import error_html, findings_html

PACKAGE = Path(errors.__file__).parent
CODE = re.compile(r"ST\d\d")
CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, SageturnerError)
}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """The calls that create a finding or an error of ours, with the name of its class."""
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == errors.__name__
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.func.id
            if name in imported and (name == "Finding" or name in CLASSES):
                yield name, node


def argument(call: ast.Call, name: str, position: int) -> ast.expr | None:
    """An argument of `call`, by its name or its position in a `Finding`."""
    named = next((each.value for each in call.keywords if each.arg == name), None)
    return named or (call.args[position] if len(call.args) > position else None)


def has_code(name: str, call: ast.Call) -> bool:
    """Whether what `call` creates has a code, or need not have one."""
    if argument(call, "code", 7) or any(each.arg is None for each in call.keywords):
        return True
    if name != "Finding":
        return bool(CLASSES[name].code)
    severity = argument(call, "severity", 4)
    # Notes need no looking up.
    notes = severity is not None and ast.unparse(severity) == "'note'"
    # A finding without words lends its cause and its remedy to another one.
    what = argument(call, "what", 0)
    return notes or (isinstance(what, ast.Constant) and what.value == "")


def uncoded(tree: ast.AST) -> list[int]:
    return [call.lineno for name, call in calls(tree) if not has_code(name, call)]


TREES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_bytes())
    for path in sorted(PACKAGE.rglob("*.py"))
}


def test_every_error_that_the_code_raises_has_a_code():
    created = sum(len(list(calls(tree))) for tree in TREES.values())
    assert created > 300
    assert not {path: lines for path, tree in TREES.items() if (lines := uncoded(tree))}


def test_an_error_without_a_code_would_be_found():
    head = "from sageturner_magic.errors import Finding, SageturnerError, UsageError\n"
    warning = "Finding('a', severity='warning')"
    for bad in (
        warning,
        "Finding('a', do='b')",
        "SageturnerError('a')",
        "Finding('a', severity='error')",
    ):
        assert uncoded(ast.parse(head + bad)) == [2]
    for good in ("Finding('a', code='ST20')", "UsageError('a')", "Finding('a', severity='note')"):
        assert not uncoded(ast.parse(head + good))


def test_every_code_in_use_has_an_entry_and_every_entry_is_in_use():
    used = {kind.code for kind in CLASSES.values() if kind.code}
    for path, tree in TREES.items():
        if not path.startswith("error_codes/"):
            used |= {
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and CODE.fullmatch(node.value)
            }
    assert used == set(KINDS)


@pytest.mark.parametrize("code", KINDS)
def test_an_entry_is_complete(code):
    title, cause, example, remedy = KINDS[code]
    assert CODE.fullmatch(code)
    assert title and not title.endswith(".") and len(title) <= 60
    assert cause.endswith(".") and example and remedy.endswith((".", "`"))


def test_codes_are_in_order_and_titles_differ():
    assert list(KINDS) == sorted(KINDS)
    assert len({kind.title for kind in KINDS.values()}) == len(KINDS)


def test_a_report_ends_each_message_with_its_code():
    assert ConfigError("no", do="try").report() == "no. Do: try. [ST20]"
    assert ConfigError("no", code="ST21", details="log").report() == "no. [ST21]\n\nlog"
    several = UsageError.of([Finding("a", code="ST12"), Finding("b")])
    assert several.report() == "2 problems:\n- a. [ST12]\n- b. [ST10]"
    assert str(several) == "2 problems:\n- a.\n- b."


def test_a_code_stays_when_an_error_is_located_or_shortened():
    error = ConfigError("no", code="ST21").located("a.yaml:1:1").brief()
    assert [finding.code for finding in error.findings] == ["ST21"]
    assert Cancelled("stopped").findings[0].code == "ST98"


def test_html_shows_the_code_small_with_its_title():
    html = error_html(ConfigError("no", code="ST21"))
    assert re.search(r"<small title=\"The YAML cannot be parsed\">.*ST21.*</small>", html)
    assert "<small" not in findings_html([Finding("a", severity="note")])


def test_the_command_ends_its_message_with_the_code(capsys):
    assert main(["no-such-verb"]) == 2
    assert capsys.readouterr().err.rstrip().endswith("[ST10]")
