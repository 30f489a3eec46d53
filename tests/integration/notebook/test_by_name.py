"""Verbs that take a name in place of YAML, and what a notebook remembers of each name."""

import json

import pytest

from tests.integration.notebook.test_notebook import (
    EXTENSION,
    LOAD,
    PREDICT,
    Kernel,
    fails,
    own_environment,
    run,
    text,
)

__all__ = ["own_environment"]

ENVIRONMENT = """
%%sageturner_predict echo
import os
def predict(model, request):
    return {"level": os.environ.get("LEVEL"), "mode": os.environ.get("MODE")}
"""


def test_a_name_deploys_without_yaml_and_the_next_verbs_know_its_flags(tmp_path):
    notebook = run(
        EXTENSION,
        LOAD,
        ENVIRONMENT,
        "level = 'high'",
        "%sageturner deploy echo --env LEVEL=$level --env MODE=b",
        "%sageturner invoke echo 1",
        "%sageturner try echo 1",
        "%sageturner export echo out\nprint(open('out/sageturner.yaml').read())",
        "%sageturner code echo",
        "%sageturner delete echo",
        path=tmp_path,
    )
    for cell in notebook.cells[5:7]:
        assert '"level": "high"' in text(cell) and '"mode": "b"' in text(cell)
    assert "LEVEL: high" in text(notebook.cells[7])
    assert "def load()" in text(notebook.cells[8])


def test_the_yaml_of_a_cell_is_the_next_lines_configuration():
    notebook = run(
        EXTENSION,
        LOAD,
        ENVIRONMENT,
        "%%sageturner plan\nname: echo\nenvironment: {LEVEL: low}",
        "%sageturner deploy",
        "%sageturner invoke echo 1",
        "%%sageturner deploy echo\nenvironment: {MODE: a}",
        "%sageturner invoke echo 1",
        "%sageturner delete echo",
    )
    assert '"level": "low"' in text(notebook.cells[5])
    assert '"level": null' in text(notebook.cells[7]) and '"mode": "a"' in text(notebook.cells[7])


def test_a_flag_that_does_not_fit_is_named():
    error = fails(EXTENSION, LOAD, PREDICT, "%sageturner deploy echo --memory 4096")
    assert error.ename == "UsageError" and "add `-e serverless`" in error.traceback
    error = fails(EXTENSION, LOAD, PREDICT, "%sageturner plan echo -e serverless --memory 5GB")
    assert "--memory" in error.evalue and "5120" in error.evalue
    error = fails(EXTENSION, LOAD, PREDICT, "%%sageturner deploy other\nname: echo")
    assert "that of `echo`, not of `other`" in error.evalue


@pytest.mark.parametrize(
    ("load", "artefact"),
    [
        (
            'import json\ndef load(model_dir):\n    return json.load(open(model_dir + "/w.json"))',
            "artifact: weights",
        ),
        ("def load():\n    return weights", "artefact: weights"),
    ],
    ids=["the file that load reads", "an object that load uses"],
)
def test_an_artefact_may_be_a_variable(load, artefact):
    notebook = run(
        EXTENSION,
        "weights = [1, 2, 3]",
        f"%%sageturner_load sums\n{load}",
        "%%sageturner_predict sums\ndef predict(model, request):\n    return sum(model)",
        f"%%sageturner deploy sums\n{artefact}",
        "p = %sageturner invoke sums 1\nprint(p.value)",
        "%sageturner delete sums",
    )
    assert text(notebook.cells[5]).strip() == "6"


def test_a_variable_that_could_be_two_files_is_asked_about():
    load = """import json
def load(model_dir):
    return [json.load(open(model_dir + file)) for file in ("/a.json", "/b.json")]"""
    error = fails(
        EXTENSION,
        "weights = 1",
        f"%%sageturner_load sums\n{load}",
        "%%sageturner_predict sums\ndef predict(model, request):\n    return 1",
        "%%sageturner deploy sums\nartefact: weights",
    )
    assert "a.json and b.json" in error.evalue and "{a.json: weights}" in error.evalue


class Answering(Kernel):
    """A kernel whose front end answers questions."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.asked = answer, []

    def run(self, source):
        """What a cell printed; questions that it asks are answered."""
        shown = []

        def show(message):
            content = message["content"]
            shown.append(content.get("text") or content.get("data", {}).get("text/plain", ""))

        def answer(message):
            self.asked.append(message["content"]["prompt"])
            self.client.input(self.answer)

        reply = self.client.execute_interactive(
            source.strip(), allow_stdin=True, stdin_hook=answer, output_hook=show, timeout=120
        )
        assert reply["content"]["status"] == "ok", reply["content"]
        return "\n".join(shown)

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def test_a_configuration_of_an_earlier_session_is_shown_and_used_after_a_yes(
    state, monkeypatch, tmp_path
):
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "mine.ipynb"))
    first = Answering("")
    try:
        for source in (EXTENSION, LOAD, ENVIRONMENT):
            first.run(source)
        first.run("%%sageturner plan\nname: echo\nenvironment: {LEVEL: kept}")
        assert first.asked == []
    finally:
        first.close()
    (file,) = (state / "notebooks").iterdir()
    assert json.loads(file.read_text())["echo"]["origin"].startswith("In[4] of ")
    for answer, level in (("n", None), ("y", "kept")):
        later = Answering(answer)
        try:
            for source in (EXTENSION, LOAD, ENVIRONMENT):
                later.run(source)
            shown = later.run("%sageturner try echo 1 --json")
            assert "LEVEL: kept" in shown and "In[4] of " in shown
            assert f'"level": {json.dumps(level)}' in shown
            assert later.asked == ["Use it? [y/N] "]
        finally:
            later.close()
