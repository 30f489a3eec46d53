"""Where a cell failed, as its traceback and the text that ran tell."""

from __future__ import annotations

import linecache
import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell

from sageturner_magic.capture.cells import failing_line


@pytest.fixture(scope="module")
def shell() -> InteractiveShell:
    shell = InteractiveShell()
    shell.showtraceback = lambda *args, **kwargs: None  # type: ignore[method-assign]
    shell.register_magic_function(lambda line, cell: exec(cell, shell.user_ns), "cell", "run_it")
    return shell


def line_of(shell: InteractiveShell, source: str) -> int | None:
    result = shell.run_cell(source)
    assert not result.success
    return failing_line(source, result.error_in_exec, shell.user_ns)


@pytest.mark.filterwarnings("ignore:To exit")
@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("1 / 0", 1),
        ("x = 1\n1 / 0\nx = 2", 2),
        ("\n  \n\nx = 1\n1 / 0\n\n\n", 5),
        ("def f():\n    1 / 0\n\nf()", 4),
        ("x = [\n  1,\n  1 / 0,\n]", 3),
        ("try:\n    1 / 0\nfinally:\n    x = 1", 2),
        ("%who_ls\nx = !true\n1 / 0", 3),
        ("x = 1\n%no_such_magic", 2),
        ("x = 1\nimport no_such_module", 2),
        ("x = 1\nraise SystemExit", 2),
        ("x = 1\nraise KeyboardInterrupt", 2),
        ("import asyncio\nawait asyncio.sleep(0)\nawait missing", 3),
        ("exec('1\\n2\\n3 / 0')", 1),
    ],
)
def test_the_line_is_that_of_the_cell_as_it_was_typed(shell, source, line):
    assert line_of(shell, source) == line


@pytest.mark.filterwarnings("ignore:.make_tokens_by_line.")
@pytest.mark.parametrize(
    "source",
    [
        pytest.param("%%run_it\n1 / 0\nx = 1", id="the cell is a magic's"),
        pytest.param("!true \\\n  a\n1 / 0", id="two lines became one"),
        pytest.param("x = '\u2028'\n1 / 0", id="what is a line end for IPython is none for Python"),
        pytest.param("x = 1\nreturn x", id="it was not compiled"),
    ],
)
def test_no_line_is_given_that_is_not_certain(shell, source):
    assert line_of(shell, source) is None


def test_an_error_that_was_raised_before_is_at_the_line_that_raises_it_again(shell):
    line_of(shell, "try:\n    1 / 0\nexcept Exception as error:\n    kept = error\n2 / 0")
    assert line_of(shell, "x = 1\nx = 2\nraise kept") == 3


def test_a_text_that_is_gone_gives_no_line(shell):
    result = shell.run_cell("x = 1\n1 / 0")
    linecache.clearcache()
    assert failing_line("x = 1\n1 / 0", result.error_in_exec, shell.user_ns) is None
    assert failing_line("x = 1\n1 / 0", None, shell.user_ns) is None


def test_an_interrupt_before_a_statement_has_begun_is_at_no_line(shell):
    frames = []

    def interrupt(frame, event, argument):
        if frame.f_globals is shell.user_ns:
            frames.append(frame)
            if len(frames) == 2:
                raise KeyboardInterrupt

    before = sys.gettrace()
    sys.settrace(interrupt)
    try:
        result = shell.run_cell("x = 1\nx = 2\nx = 3")
    finally:
        sys.settrace(before)
    assert shell.user_ns["x"] == 1 and isinstance(result.error_in_exec, KeyboardInterrupt)
    assert failing_line("x = 1\nx = 2\nx = 3", result.error_in_exec, shell.user_ns) is None


def test_a_function_of_the_notebook_that_something_else_calls_is_no_statement_of_the_cell(shell):
    source = "def called():\n    1 / 0"
    shell.run_cell(source)
    with pytest.raises(ZeroDivisionError) as raised:
        shell.user_ns["called"]()
    assert failing_line(source, raised.value, shell.user_ns) is None
