"""A message names what failed, where, why, and what to do."""

from sageturner_magic.errors import ConfigError, Finding, SageturnerError


def test_one_line_has_what_where_why_and_remedy():
    error = ConfigError(
        "`memory` is 1500",
        where="sageturner.yaml:7:13",
        why="serverless memory comes in steps of 1024 MB",
        do="write 1024 or 2048",
    )
    assert str(error) == (
        "`memory` is 1500 (sageturner.yaml:7:13): serverless memory comes in steps of 1024 MB."
        " Do: write 1024 or 2048."
    )


def test_several_findings_are_listed_together():
    error = ConfigError.of([Finding("a is wrong"), Finding("b is wrong", do="fix b")])
    assert str(error) == "2 problems:\n- a is wrong.\n- b is wrong. Do: fix b."
    assert isinstance(error, ConfigError)


def test_details_stand_below_the_message():
    error = SageturnerError("predict failed", details="line 1\nline 2\n")
    assert error.report() == "predict failed.\n\nline 1\nline 2"


def test_a_notebook_shows_the_message_and_no_traceback():
    assert ConfigError("no")._render_traceback_() == ["ConfigError: no. [ST20]"]


def test_a_place_is_filled_in_only_where_there_is_none():
    error = SageturnerError.of([Finding("a", where="here"), Finding("b")]).located("there")
    assert [finding.where for finding in error.findings] == ["here", "there"]


def test_an_error_can_be_told_briefly():
    assert SageturnerError("a", do="b", details="many lines").brief().report() == "a. Do: b."
