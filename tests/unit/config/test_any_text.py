"""Whatever is written: valid configurations survive YAML, and nonsense is only ever an error."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from sageturner_magic.config import SERVERLESS_MEMORY, Origin, parse_config
from sageturner_magic.config.configuration import Config
from sageturner_magic.config.keys import all_keys
from sageturner_magic.errors import ConfigError
from tests.unit.config.helpers import FOLDER, read

words = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
# What a YAML file can hold as text.
texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"]), max_size=40
)
tricky = st.sampled_from(
    ["no", "on", "null", "~", "", "1e3", "3.10", "012", "2024-01-01", "=", "<<"]
)
tag_values = st.from_regex(r"\A[a-zA-Z0-9 .:/=+@_-]{0,30}\Z")
environment = st.dictionaries(
    st.from_regex(r"\A[a-zA-Z_][a-zA-Z0-9_]{0,20}\Z"), texts | tricky, max_size=10
)


@st.composite
def serverless(draw: st.DrawFn) -> dict[str, object]:
    most = draw(st.integers(1, 200))
    section: dict[str, object] = {
        "memory": draw(st.sampled_from(SERVERLESS_MEMORY)),
        "max_concurrency": most,
    }
    if draw(st.booleans()):
        section["provisioned_concurrency"] = draw(st.integers(1, most))
    return section


generate_container = st.fixed_dictionaries(
    {},
    optional={
        "code_dir": words.map(lambda word: f"./{word}"),
        "python_packages": st.just("auto") | st.lists(texts.filter(str.strip), max_size=4),
        "system_packages": st.lists(words.map("lib{}".format), max_size=3),
        "python_version": st.sampled_from(["3.10", "3.11", "3.12", "3.13", "3.14"]),
        "install_cuda": st.booleans(),
        "builder": st.sampled_from(["auto", "docker", "layers"]),
    },
)
serving = st.fixed_dictionaries(
    {},
    optional={
        "workers": st.integers(1, 64),
        "batch": st.fixed_dictionaries({}, optional={"max_size": st.integers(1, 100)}),
        "queue": st.integers(1, 10**6),
        "timeout_s": st.integers(1, 60),
        "nan": st.sampled_from(["error", "null"]),
        "metrics": st.sampled_from(["prometheus", "emf"]),
    },
)
configs = st.fixed_dictionaries(
    {"name": st.from_regex(r"\A[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?\Z")},
    optional={
        "artefact": texts.filter(lambda text: text.strip() and text[0] != "~" and "://" not in text)
        | st.dictionaries(words, words.map(lambda word: f"v{word}"), max_size=10),
        "container": st.fixed_dictionaries({"generate_container": generate_container}),
        "compute": st.fixed_dictionaries({"serverless": serverless()}),
        "serving": serving,
        "environment": environment,
        "tags": st.dictionaries(words, tag_values | tricky.filter(str.isalnum), max_size=10),
    },
).map(Config.model_validate)


@given(configs)
def test_a_configuration_written_as_yaml_reads_back_equal(config):
    again = read(config.to_yaml())
    assert again.model_dump() == config.model_dump()
    assert read(again.to_yaml()) == again


keys = st.sampled_from(sorted({key for path in all_keys() for key in path}))
fragments = (
    keys.map(lambda key: f"{key}: ")
    | st.sampled_from(
        [
            *("\n", "\n  ", "\n    ", "\n\t", "- ", "{", "}", "[", "]", ",", ": ", "'", '"', "#"),
            *("&a ", "*a", "!x ", "!!str ", "---\n", "...\n", "|\n", ">\n", "? ", "%YAML 1.2\n"),
            *("<<: ", "\\U00110000", "\\ud800", "\x85", "\u2028", "\ufeff", "\r", "\x07", "null"),
        ]
    )
    | st.text(max_size=8)
)


def _assert_place_within(where: str, text: str) -> None:
    if where == "f.yaml":
        return
    line, column = map(int, where.removeprefix("f.yaml:").split(":"))
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text.removeprefix("\ufeff"))
    assert 1 <= line <= len(lines)
    assert 1 <= column <= max(1, len(lines[line - 1]))


def _read_or_explain(text: str) -> None:
    try:
        parse_config(text, folder=FOLDER, origin=Origin.file("f.yaml"))
    except ConfigError as error:
        assert str(error).isprintable() or "\n" in str(error)
        str(error).encode()
        for found in error.findings:
            assert found.what
            _assert_place_within(found.where, text)


@settings(max_examples=4 * settings().max_examples)
@given(st.lists(fragments, max_size=25).map("".join))
def test_broken_yaml_is_only_ever_an_error_with_a_place_in_the_text(text):
    _read_or_explain(text)


@given(st.text())
def test_any_text_is_a_configuration_or_an_error_with_a_place_in_the_text(text):
    _read_or_explain(text)


@given(st.text(), st.data())
def test_a_cut_or_altered_configuration_is_only_ever_an_error(inserted, data):
    from tests.unit.config.test_values import ORIGINAL_CPU

    start = data.draw(st.integers(0, len(ORIGINAL_CPU)))
    end = data.draw(st.integers(start, min(start + 40, len(ORIGINAL_CPU))))
    _read_or_explain(ORIGINAL_CPU[:start] + inserted + ORIGINAL_CPU[end:])
