"""The verbs' arguments, and where the payload of invoke begins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.errors import UsageError
from sageturner_magic.verbs.arguments import (
    VERBS,
    HelpShown,
    is_name,
    parse,
    parser,
    split,
    split_payload,
)

OPTIONS = parser("invoke", "%sageturner").options()


@pytest.mark.parametrize(
    ("line", "words", "payload"),
    [
        ('digits {"pixels": list(image.ravel())}', ["digits"], '{"pixels": list(image.ravel())}'),
        ("digits --accept text/csv [1, 2]", ["digits", "--accept", "text/csv"], "[1, 2]"),
        ('--file "my image.png" digits', ["--file", "my image.png", "digits"], ""),
        ("digits -1", ["digits"], "-1"),
        ('digits "a  b"', ["digits"], '"a  b"'),
        ("digits it's", ["digits"], "it's"),
        ("--content-type=text/csv d 1,2", ["--content-type=text/csv", "d"], "1,2"),
        ("digits", ["digits"], ""),
        ("", [], ""),
    ],
)
def test_the_payload_is_kept_as_it_was_written(line, words, payload):
    assert split_payload(line, OPTIONS) == (words, payload)


@given(st.text())
def test_no_line_is_too_odd_to_be_split(line):
    split_payload(line, OPTIONS)


@given(st.text(alphabet=st.characters(exclude_categories=["Z", "C"]), min_size=1))
def test_a_payload_after_the_name_survives_unchanged(payload):
    if payload.startswith("-"):
        payload = f"[{payload}]"
    assert split_payload(f"digits {payload}", OPTIONS) == (["digits"], payload)


def test_the_originals_flags_are_taken():
    arguments = parse(
        "deploy", ["-e", "serverless", "-m", "generate", "-c", "x.yaml"], "sageturner"
    )
    assert (arguments.endpoint_type, arguments.container_mode) == ("serverless", "generate")
    assert arguments.config_path == "x.yaml"


def test_provided_means_provide():
    assert parse("deploy", ["-m", "provided"], "sageturner").container_mode == "provide"


@pytest.mark.parametrize(
    ("verb", "words", "hint"),
    [
        ("deplyo", [], "did you mean `deploy`"),
        ("deploy", ["--endpoint-tpye", "local"], "did you mean `--endpoint-type`"),
        ("deploy", ["-e", "lokal"], "`--endpoint-type` is `lokal`: .*did you mean `local`"),
        ("deploy", ["-e", "moon"], "expected one of local, serverless, server"),
        ("status", [], "lacks NAME.*write `%sageturner status NAME`; `sageturner list` shows"),
        ("load-test", ["a", "--requests", "many"], "`--requests` is `many`: expected a whole"),
    ],
)
def test_a_mistake_names_what_fits(verb, words, hint):
    with pytest.raises(UsageError, match=hint):
        parse(verb, words, "%sageturner")


def test_a_verb_that_is_nearly_right_is_answered_with_that_verb_alone():
    with pytest.raises(UsageError) as raised:
        parse("deplyo", [], "%sageturner")
    assert "doctor" not in str(raised.value)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(HelpShown):
        parse(verb, ["--help"], "%sageturner")
    assert f"%sageturner {verb}" in capsys.readouterr().out


def test_an_open_quote_is_said():
    with pytest.raises(UsageError, match="quote"):
        split('-c "a b')


@pytest.mark.parametrize(
    ("line", "words", "payload"),
    [
        ("", [], ""),
        ("digits", ["digits"], ""),
        ("digits request", ["digits"], "request"),
        ('{"x": 1}', [], '{"x": 1}'),
        ("[a, b]", [], "[a, b]"),
        ("7", [], "7"),
        ("true", [], "true"),
        ("--json digits 7", ["--json", "digits"], "7"),
    ],
)
def test_try_takes_a_name_a_payload_or_both(line, words, payload):
    options = parser("try", "%sageturner").options()
    assert split_payload(line, options, is_name) == (words, payload)
