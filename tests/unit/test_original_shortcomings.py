"""The table of the original's shortcomings names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TABLE = TESTS.parent / "docs" / "original-shortcomings.md"
ROWS = [
    line for line in TABLE.read_text().splitlines() if re.match(r"\| (?!The original)[^-|]", line)
]


def test_the_table_covers_server_image_configuration_and_aws() -> None:
    headings = re.findall(r"^## (.*)$", TABLE.read_text(), re.MULTILINE)
    assert headings == ["Server", "Image", "Configuration", "AWS"]
    assert len(ROWS) == 51


@pytest.mark.parametrize("row", ROWS)
def test_every_shortcoming_has_tests_and_they_exist(row: str) -> None:
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", row)
    assert named
    for file, function in named:
        body = ast.parse((TESTS / file).read_text()).body
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        assert function in {each.name for each in body if isinstance(each, functions)}
