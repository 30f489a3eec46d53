"""What cells set in the environment is named where the deployed code will not have it."""

import os
import subprocess
import sys

import pytest

from sageturner_magic.capture.cells import Cell
from sageturner_magic.capture.environment import (
    environment_at_start,
    lost_variables,
    shown_secrets,
)
from sageturner_magic.errors import Finding

READS = "import os\ndef predict(model, request):\n    return os.environ.get('CASE_MODE')\n"


def lost(*sources: str, module: str = READS, given: tuple[str, ...] = ()) -> list[Finding]:
    cells = [Cell(number, source) for number, source in enumerate(sources, 1)]
    at_start = {name: value for name, value in os.environ.items() if not name.startswith("CASE")}
    return lost_variables(cells, module, at_start, given)


@pytest.fixture(autouse=True)
def mode(monkeypatch):
    monkeypatch.setenv("CASE_MODE", "fast")


@pytest.mark.parametrize(
    "cell",
    [
        "import os; os.environ['CASE_MODE'] = 'fast'",
        "%env CASE_MODE=fast",
        "%set_env CASE_MODE fast",
        "os.environ.update(CASE_MODE='fast')",
        "os.environ.setdefault('CASE_MODE', 'fast')",
    ],
)
def test_a_variable_that_the_code_reads_is_a_warning_with_the_line_to_paste(cell):
    (finding,) = lost("x = 1", cell, READS)
    assert finding.severity == "warning" and finding.where == "In[2]"
    assert "add `environment: {CASE_MODE: fast}` to the YAML" in finding.do


def test_a_variable_from_a_file_counts_where_the_code_names_it():
    (finding,) = lost("load_dotenv()")
    assert "`CASE_MODE`" in finding.what


def test_a_variable_that_only_libraries_read_is_a_note():
    (finding,) = lost("%env CASE_MODE=fast", module="X = 1")
    assert finding.severity == "note"


def test_what_an_import_sets_is_not_told():
    assert lost("import torch", module="X = 1") == []


def test_what_the_configuration_or_the_module_sets_is_not_told():
    cell = "os.environ['CASE_MODE'] = 'fast'"
    assert lost(cell, given=("CASE_MODE",)) == []
    assert lost(cell, module=f"import os\n{cell}\n{READS}") == []


def test_a_number_is_written_as_text(monkeypatch):
    monkeypatch.setenv("CASE_MODE", "7")
    assert "{CASE_MODE: '7'}" in lost("%env CASE_MODE=7")[0].do


@pytest.mark.parametrize(
    ("name", "value"),
    [("CASE_TOKEN", "s3cretValue99"), ("CASE_URL", "postgres://me:hunter22@db/x")],
)
def test_a_secret_is_never_written_out(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    text = str(lost(f"%env {name}={value}", given=("CASE_MODE",))[0])
    assert name in text and value not in text and "environment:" not in text


@pytest.mark.skipif(sys.platform != "linux", reason="Linux keeps the first environment")
def test_the_first_environment_is_known_also_after_cells_changed_it():
    code = (
        "import os; os.environ['CASE_MODE'] = 'late'; os.environ['CASE_NEW'] = '1'\n"
        "from sageturner_magic.capture.environment import environment_at_start\n"
        "found = environment_at_start(dict(os.environ))\n"
        "print(found['CASE_MODE'], 'CASE_NEW' in found)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["fast", "False"]


def test_without_a_record_of_the_system_the_earliest_copy_counts(monkeypatch, tmp_path):
    monkeypatch.setattr("sageturner_magic.capture.environment._SYSTEM", tmp_path / "none")
    assert environment_at_start({"A": "1"}) == {"A": "1"}


@pytest.mark.parametrize(
    ("name", "value", "is_named"),
    [
        ("HF_TOKEN", "hf_" + 34 * "a", True),
        ("DB_PASSWORD", "correct-horse", True),
        ("URL", "postgres://me:hunter22@db/x", True),
        ("MAX_TOKEN", "512", False),
        ("API_KEY", "", False),
        ("CREDENTIALS", "/opt/ml/model/account.json", False),
        ("MODE", "fast", False),
    ],
)
def test_a_secret_in_the_configured_environment_or_tags_is_refused(name, value, is_named):
    found = list(shown_secrets({name: value}, {name: value}, {}, ()))
    assert [(each.severity, each.where) for each in found] == (
        [("error", f"environment.{name}"), ("error", f"tags.{name}")] if is_named else []
    )
    assert all(value not in str(each) for each in found)
    assert all(f"`secrets: {{{name}: {name}}}`" in each.do for each in found)
    assert all(f"`not_secret: [{name}]`" in each.do for each in found)
    assert not list(shown_secrets({name: value}, {}, {}, (name,)))


def test_a_value_in_place_of_a_reference_is_refused():
    (found,) = shown_secrets({}, {}, {"HF_TOKEN": "hf_" + 34 * "a", "OTHER": "team/other"}, ())
    assert found.severity == "error" and found.where == "secrets.HF_TOKEN"
    assert "a Hugging Face token itself" in found.what
