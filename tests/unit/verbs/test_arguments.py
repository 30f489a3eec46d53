"""The verbs' arguments, and where the payload of invoke begins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.errors import UsageError
from sageturner_magic.verbs.arguments import (
    HelpShown,
    by_flag,
    is_name,
    split,
    split_payload,
)
from sageturner_magic.verbs.reading import parse
from sageturner_magic.verbs.table import VERBS

OPTIONS = by_flag(VERBS["invoke"].arguments)


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
        ('digits {"a": 1} --stream', ["digits", "--stream"], '{"a": 1}'),
        (
            "digits x --accept text/csv --stream",
            ["digits", "--accept", "text/csv", "--stream"],
            "x",
        ),
        ("digits x --accept=text/csv", ["digits", "--accept=text/csv"], "x"),
        ("digits 'see --stream'", ["digits"], "'see --stream'"),
        ("digits x --y", ["digits"], "x --y"),
        ("digits f(x, --stream)", ["digits"], "f(x, --stream)"),
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
    assert arguments.config == "x.yaml"


def test_provided_means_provide():
    assert parse("deploy", ["-m", "provided"], "sageturner").container_mode == "provide"


@pytest.mark.parametrize(
    ("verb", "words", "hint"),
    [
        ("deplyo", [], "did you mean `deploy`"),
        ("deploy", ["--endpoint-tpye", "local"], "did you mean `--endpoint-type`"),
        ("deploy", ["-e", "lokal"], "`--endpoint-type` is `lokal`: .*did you mean `local`"),
        ("deploy", ["-e", "moon"], "expected one of local, serverless, server"),
        ("status", [], "needs NAME.*write `%sageturner status NAME`; `sageturner list` shows"),
        ("load-test", ["a", "--requests", "many"], "`--requests` is `many`: expected a whole"),
        ("deploy", ["-e"], "`--endpoint-type` needs a value.*write `--endpoint-type local`"),
        ("deploy", ["-e", "-c", "x.yaml"], "`--endpoint-type` needs a value"),
        ("deploy", ["--config-path"], "`--config-path` needs a value.*`--config-path PATH`"),
        ("deploy", ["--detach=yes"], "`--detach` takes no value.*write `--detach` alone"),
        ("status", ["a", "b"], "does not take `b`"),
        ("setup", ["--for", "deploy,init"], "no policy for `init`.*choose from setup, plan"),
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
    options = by_flag(VERBS["try"].arguments)
    assert split_payload(line, options, is_name) == (words, payload)


@pytest.mark.parametrize(
    ("verb", "words", "values"),
    [
        ("logs", ["digits", "-n5"], {"last": 5, "follow": False}),
        ("logs", ["-fn", "5", "digits"], {"last": 5, "follow": True}),
        ("logs", ["-n", "-5", "digits"], {"last": -5}),
        ("logs", ["--lines=5", "--", "-digits"], {"last": 5, "name": "-digits"}),
        ("invoke", ["digits", "--json", "-1"], {"payload": "-1", "json": True}),
        ("invoke", ["digits", "-"], {"payload": "-"}),
        ("delete", ["digits", "-y"], {"yes": True}),
        ("invoke", ["digits", "--timeout", "2.5"], {"timeout_s": 2.5, "payload": None}),
        ("deploy", ["--no-wait", "--wait", "--no-smoke-test"],
         {"no_wait": False, "smoke_test": False}),
        ("deploy", [], {"no_wait": False, "smoke_test": True, "endpoint_type": "local"}),
        ("setup", ["--for", "deploy, status"], {"permissions": ["deploy", "list"]}),
    ],
)  # fmt: skip
def test_words_become_values(verb, words, values):
    found = vars(parse(verb, words, "sageturner"))
    assert {name: found[name] for name in values} == values


WORDS = st.lists(
    st.sampled_from(
        ["-", "--", "-e", "-n5", "-fn", "--json", "--json=1", "--lines=", "x", "1", "-1"]
    )
    | st.text(max_size=8),
    max_size=6,
)


@given(st.sampled_from(sorted(VERBS)), WORDS)
def test_every_line_is_taken_or_refused_with_a_next_step(verb, words):
    try:
        parse(verb, words, "sageturner")
    except UsageError as error:
        assert all(finding.do for finding in error.findings)
    except HelpShown:
        assert {"-h", "--help"} & {*words}
