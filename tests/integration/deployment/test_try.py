"""`try`: a model answers, or says why not, before anything is built."""

import json
import subprocess
import sys
import textwrap

import pytest

import sageturner_magic as sageturner
from sageturner_magic.errors import CaptureError, UsageError
from tests.integration.conftest import servers_of
from tests.integration.notebook.test_notebook import (
    EXTENSION,
    fails,
    html,
    run,
    text,
)

CODE = """
    import pathlib

    def load(model_dir):
        return int(pathlib.Path(model_dir, "factor.txt").read_text())

    def predict(model, request):
        return {"product": model * request}

    def example_request():
        return 4
"""


@pytest.fixture
def project(tmp_path, monkeypatch, state):
    """A folder that is ready to be tried, and the working directory."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "sageturner.py").write_text(textwrap.dedent(CODE))
    (tmp_path / "factor.txt").write_text("3")
    (tmp_path / "sageturner.yaml").write_text(
        "name: times\nartefact: ./factor.txt\n"
        "container: {generate_container: {code_dir: ./code}}\n"
        "compute: {serverless: {memory: 1024, max_concurrency: 1}}\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "sageturner_magic", "try", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_python_code_gets_the_answer_and_what_it_took(project, state):
    tried = sageturner.try_(5)
    assert tried.value == {"product": 15}
    assert (tried.name, tried.trial.asked, tried.findings) == ("times", "payload", ())
    assert tried.serverless_memory == 1024
    assert sageturner.try_().value == {"product": 12}
    assert not servers_of(state)


def test_the_command_shows_the_answer_of_the_example_or_of_a_payload(project):
    shown = command()
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith('{"product": 12}\ntimes answers its example in a clean Python')
    assert "Load the model …\nLoad the model: done in" in shown.stderr
    assert command("7").stdout.startswith('{"product": 21}')
    assert command("times", "7").stdout.startswith('{"product": 21}')
    data = json.loads(command("--json").stdout)
    assert data["value"] == {"product": 12} and data["serverless_memory_mb"] == 1024


def test_a_configuration_of_another_name_is_not_taken_for_the_one_that_was_meant(project):
    with pytest.raises(UsageError, match=r"is that of `times`, not of `other`"):
        sageturner.try_(1, "sageturner.yaml", name="other")


def test_a_model_that_is_too_large_for_what_is_configured_is_said(project):
    config = project / "sageturner.yaml"
    (project / "code" / "sageturner.py").write_text(
        textwrap.dedent(CODE).replace(
            "return int", "ballast = b'x' * 1_100_000_000\n    return int"
        )
    )
    (finding,) = sageturner.try_().findings
    assert (
        finding.severity == "warning" and finding.do == "set `memory: 2048`, or add `--memory 2048`"
    )
    assert str(config.name) in finding.where


def test_a_failure_ends_the_command_with_the_line_and_the_remedy(project):
    (project / "code" / "sageturner.py").write_text(
        textwrap.dedent(CODE).replace('"product": model', '"product": {model}')
    )
    with pytest.raises(CaptureError, match="TypeError"):
        sageturner.try_()
    done = command()
    assert done.returncode == 2
    assert "predict() raises TypeError" in done.stderr and "sageturner.py:8" in done.stderr


LOAD = """
%%sageturner_load times
import json
def load(model_dir):
    return json.load(open(f"{model_dir}/factor.json"))
"""
PREDICT = """
%%sageturner_predict times
def predict(model, request):
    return {"product": model * request}
"""
TRY = """
%%sageturner try
name: times
artefact: {factor.json: factor}
"""


def test_a_notebook_tries_its_cells_with_the_artefact_of_the_yaml_and_remembers_that():
    notebook = run(
        EXTENSION,
        "factor = 6",
        LOAD,
        PREDICT,
        TRY,
        "%sageturner try times factor + 1",
        "_.data.value",
    )
    assert "predict() was not tried" in text(notebook.cells[4])
    steps, answer, summary = text(notebook.cells[5]).splitlines()[:3]
    assert steps.startswith("✓ Capture code and model · ✓ Import the code in a clean Python")
    assert steps.endswith("✓ Load the model · ✓ Answer a request")
    assert answer == '{"product": 42}' and summary.startswith("times answers in a clean Python")
    assert "In[3], In[4]" in html(notebook.cells[5])
    assert "<th" not in html(notebook.cells[5]) and "<table>" in html(notebook.cells[5])


def test_what_fails_in_a_notebook_is_told_by_cell_and_line():
    broken = PREDICT.replace("model * request", "len(model)")
    raised = fails(EXTENSION, "factor = 6", LOAD, broken, TRY, "%sageturner try times 1")
    assert "(In[4], line 3)" in raised.evalue and "no len()" in raised.evalue


def test_the_unnamed_cells_are_tried_without_a_configuration():
    load, predict = (
        "%%sageturner_load\ndef load():\n    return 2",
        "%%sageturner_predict\ndef predict(model, request):\n    return model + request",
    )
    tried = text(run(EXTENSION, load, predict, "%sageturner try [1][0]").cells[3])
    assert tried.splitlines()[1] == "3"


def test_what_cells_set_in_the_environment_reaches_no_process_of_the_model_and_is_named():
    set_here = "%env HERE_ONLY=fast"
    predict = "%%sageturner_predict mode\ndef predict(model, request):\n    import os\n"
    predict += "    return os.environ.get('HERE_ONLY', 'slow')"
    captured = (
        set_here,
        EXTENSION,
        "%%sageturner_load mode\ndef load():\n    return None",
        predict,
        "model = None",
    )
    raised = fails(*captured, "%sageturner try mode 1", "%%sageturner deploy\nname: mode")
    assert '"fast" and "slow"' in raised.evalue
    assert "add `environment: {HERE_ONLY: fast}` to the YAML" in raised.evalue
    notebook = run(
        *captured[:-1],
        "%sageturner try mode 1",
        "%%sageturner deploy --no-compare\nname: mode",
        "%sageturner invoke mode 1",
        "%sageturner delete mode",
    )
    tried, deployed, invoked = map(text, notebook.cells[4:7])
    assert "slow" in tried and "slow" in invoked
    for said in (tried, deployed):
        assert "add `environment: {HERE_ONLY: fast}` to the YAML" in said
