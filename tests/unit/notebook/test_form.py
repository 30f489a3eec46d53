"""The deploy form's values: what it makes is what the same YAML makes."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sageturner_magic.capture.artefact import files_of
from sageturner_magic.capture.cells import Cell
from sageturner_magic.capture.notebook import Notebook
from sageturner_magic.config import commented_example, schema_keys
from sageturner_magic.config.keys import all_keys
from sageturner_magic.errors import ConfigError
from sageturner_magic.notebook.form.model import (
    ADVANCED,
    CAPACITY,
    COMPUTE,
    MAIN,
    Form,
    advanced_fields,
    code_states,
    field_at,
    fields_below,
    first_text,
)
from sageturner_magic.notebook.form.yaml_document import Document
from tests.unit.config.helpers import FOLDER, read
from tests.unit.config.test_values import ORIGINAL_CPU, ORIGINAL_GPU

LEAVES = [path for path in all_keys() if not schema_keys(path)]


def form(text="name: digits\n", endpoint_type="local", container_mode="generate"):
    return Form(text, FOLDER, endpoint_type, container_mode)


def test_every_key_of_the_schema_has_a_field():
    always = (*MAIN.values(), *COMPUTE.values(), *CAPACITY.values())
    shown = {("name",), *(path for paths in always for path in paths)}
    shown |= {field.path for fields in advanced_fields().values() for field in fields}
    assert shown | {("artefact",)} == set(LEAVES)
    assert not any(len(paths) == 0 for paths in ADVANCED.values())


VALUES = {
    "text": st.text(max_size=30),
    "number": st.one_of(st.integers(-5, 5000).map(str), st.text(max_size=5)),
    "switch": st.sampled_from(["true", None]),
    "lines": st.lists(st.text(max_size=20), max_size=4),
    "pairs": st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=4),
}


@st.composite
def filled_in(draw):
    """Keys with values as a person could type them: right ones, wrong ones, odd ones."""
    found = []
    for path in draw(st.lists(st.sampled_from(LEAVES), max_size=12)):
        field = field_at(path)
        if field.kind == "choice":
            found.append((path, draw(st.sampled_from([*field.choices, ""]))))
        else:
            found.append((path, draw(VALUES[field.kind])))
    return found


FORMS = 2 * settings().max_examples // 5
"""A form is slow to draw."""
STARTS = ["", "name: digits\n", ORIGINAL_CPU, ORIGINAL_GPU, commented_example()]


@settings(max_examples=FORMS, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(STARTS), filled_in(), st.sampled_from(list(COMPUTE)))
def test_what_the_form_makes_and_what_the_same_yaml_makes_are_identical(start, values, kind):
    made = form(start)
    for path, value in values:
        made.set(path, value)
    made.choose(kind)
    checked = made.check()
    try:
        config = read(made.yaml)
    except ConfigError as error:
        assert checked.config is None
        found = [(each.what, each.why, each.do) for each in checked.findings]
        assert found == [(each.what, each.why, each.do) for each in error.findings]
        return
    problems = config.check(kind, "generate")
    assert len(checked.findings) == len(problems)
    if not problems:
        assert checked.config == config
    # A second form that is opened from it holds the same, and changes nothing.
    again = form(made.yaml, kind)
    assert again.yaml == made.yaml
    assert [again.get(path) for path in LEAVES] == [made.get(path) for path in LEAVES]


@settings(max_examples=FORMS, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(STARTS), filled_in())
def test_a_field_holds_what_was_typed(start, values):
    document = Document(start)
    for path, value in values:
        document.set(path, value)
        assert document.get(path) == (value or None)


@pytest.mark.parametrize("text", STARTS[1:])
def test_what_is_not_changed_stays_byte_for_byte(text):
    made = form(text)
    for path in LEAVES:
        made.set(path, made.get(path))
    assert made.yaml == text


COMMENTED = """\
# The team's model.
name: digits   # as in the paper
artefact: {digits.joblib: classifier}

compute:
    # Enough for peaks.
    serverless:
        memory: 2048   # MB
        max_concurrency: 5
environment:
    B: "2"   # second
    A: 1
"""


def test_comments_and_order_of_a_file_stay():
    made = form(COMMENTED)
    made.set(("compute", "serverless", "memory"), "4096")
    made.set(("environment",), {"B": "2", "A": "3"})
    made.set(("tags",), {"team": "search"})
    assert made.yaml == COMMENTED.replace("2048", "4096").replace("A: 1", "A: '3'") + (
        "tags:\n    team: search\n"
    )


def test_what_is_left_empty_is_left_out():
    made = form(COMMENTED)
    made.set(("compute", "serverless", "memory"), "")
    made.set(("compute", "serverless", "max_concurrency"), None)
    made.set(("environment",), {})
    assert made.yaml == COMMENTED[: COMMENTED.index("\ncompute")]


@pytest.mark.parametrize(
    ("text", "written"), [("no", "'no'"), ("3.10", "'3.10'"), ("007", "'007'"), ("plain", "plain")]
)
def test_texts_are_quoted_where_any_yaml_would_misread_them(text, written):
    made = form()
    made.set(("environment",), {"KEY": text})
    assert f"KEY: {written}\n" in made.yaml


def test_an_endpoint_type_brings_the_section_that_it_needs_and_takes_it_away_again():
    made = form()
    for kind, section in (("serverless", "max_concurrency: 5"), ("server", "ml.m5.xlarge")):
        made.choose(kind)
        assert section in made.yaml
        assert made.check().config is not None
    made.choose("local")
    assert made.yaml == "name: digits\n"


def test_a_section_that_is_needed_stays_when_all_of_it_is_left_to_its_defaults():
    made = form(endpoint_type="serverless")
    made.set(("compute", "serverless", "memory"), "")
    made.set(("compute", "serverless", "max_concurrency"), None)
    assert made.check().config is not None


def test_what_a_person_wrote_for_another_endpoint_type_stays():
    made = form(COMMENTED)
    made.choose("serverless")
    made.choose("local")
    assert made.yaml == COMMENTED


def test_a_problem_stands_beside_its_field():
    made = form("name: digits\n", "server")
    made.set(("name",), "Digits!")
    made.set(("compute", "server", "instance_type"), "m5")
    made.set(("environment",), {"1BAD": "x"})
    checked = made.check()
    assert checked.config is None
    assert "write `digits`" in checked.beside("name")[0].do
    assert "ml.m5" in checked.beside("compute.server.instance_type")[0].do
    assert len(checked.beside("environment")) == 1
    assert checked.beside("tags") == []
    made.set(("name",), None)
    assert checked.beside("name") and "missing" in made.check().beside("name")[0].what


def test_the_cell_deploys_the_same():
    made = form(COMMENTED, "serverless", "provide")
    assert made.cell == "%%sageturner deploy -e serverless -m provide\n" + COMMENTED


def test_fields_are_labelled_in_words():
    assert field_at(("serving", "timeout_s")).label == "Timeout (s)"
    assert field_at(("compute", "serverless", "max_concurrency")).label == "Max. concurrency"
    assert field_at(("kms_key",)).label == "KMS key"
    assert field_at(("compute", "serverless", "memory")).kind == "choice"
    assert [field.key for field in fields_below(("kms_key",))] == ["kms_key"]


# --- what a form begins with --------------------------------------------------------------

LOAD = 'import joblib\ndef load(model_dir):\n    return joblib.load(f"{model_dir}/digits.joblib")'
PREDICT = "def predict(model, request):\n    return request"


class Model:
    def predict(self, rows):
        return rows


def notebook(namespace, *captured):
    made = Notebook(namespace)
    for number, (role, name, source) in enumerate(captured, 1):
        exec(source, namespace)
        made.capture(role, name, Cell(number, source))
    return made


def test_a_new_form_knows_the_captured_name_and_the_object_that_load_reads():
    namespace = {"classifier": Model(), "rows": [1]}
    variables = list(namespace)
    made = notebook(namespace, ("load", "digits", LOAD), ("predict", "digits", PREDICT))
    text = first_text(made, namespace, variables)
    assert text == "name: digits\nartefact:\n  digits.joblib: classifier\n"
    assert read(text).artefact == {"digits.joblib": "classifier"}


def test_where_it_is_not_plain_which_object_is_meant_none_is_chosen():
    namespace = {"one": Model(), "two": Model()}
    variables = list(namespace)
    made = notebook(namespace, ("load", "digits", LOAD), ("predict", "digits", PREDICT))
    assert first_text(made, namespace, variables) == "name: digits\n"


def test_a_form_without_captured_cells_begins_with_a_name():
    assert first_text(Notebook({}), {}, []) == "name: my-model\n"


def test_files_of_load_are_found_and_nothing_else():
    source = 'A = "x.joblib"\ndef load(d):\n    return open(d + "/sub/a.json"), "note", "v1.2"\n'
    assert files_of(source) == ["sub/a.json"]
    assert files_of("load = print") == []


def test_captured_cells_are_shown_with_their_state():
    made = notebook(
        {},
        ("load", "half", "def load():\n    return 1"),
        ("load", "whole", "def load():\n    return 1"),
        ("predict", "whole", PREDICT),
    )
    made.capture("load", "stale", Cell(5, "def load():\n    return 2"))
    made.capture("predict", "stale", Cell(6, PREDICT))
    half, whole, stale = code_states(made)
    assert (half.state, whole.state, stale.state) == ("missing", "captured", "stale")
    assert whole.cells == "load in In[2], predict in In[3]"
    assert "`load` is not what In[5]" in str(stale.findings[0])


def test_paths_are_relative_to_the_files_folder(tmp_path: Path):
    made = Form("name: a\nartefact: ./model\n", tmp_path, "local", "generate")
    config = made.check().config
    assert config is not None and config.resolve("./model") == tmp_path / "model"
