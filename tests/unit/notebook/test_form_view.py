"""What the form's fields and buttons do, without a browser."""

import sys
import threading
import time
import types
from importlib import metadata
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from sageturner_magic.aws.account.pricing import HostedInstance
from sageturner_magic.context import AwsOptions
from sageturner_magic.errors import ConfigError, Finding, SageturnerError, UsageError
from sageturner_magic.notebook.display.announcer import Announcer
from sageturner_magic.notebook.extension import load, unload
from sageturner_magic.notebook.form.background import Background
from sageturner_magic.notebook.form.fields import FieldView, PairsEditor
from sageturner_magic.notebook.form.invoke import first_request
from sageturner_magic.notebook.form.model import CodeState, Form, field_at, first_model
from sageturner_magic.notebook.form.packages import PackagesField
from sageturner_magic.notebook.form.parts import ArtefactEditor, InstanceField, code_html
from sageturner_magic.notebook.form.saved_file import SavedFile
from sageturner_magic.notebook.form.view import PACKAGES, DeployForm
from sageturner_magic.verbs.instances import InstanceChoice

SECONDS = 60


def wait_until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.chdir(tmp_path)
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    load(shell)
    yield shell
    unload(shell)


@pytest.fixture
def bare_form(shell):
    """A form where nothing is captured."""
    session = shell.magics_manager.registry["SageturnerMagics"].session
    values = Form("name: digits\n", Path.cwd(), "local", "generate")
    saved = SavedFile("sageturner.yaml", None)
    made = DeployForm(shell, session, values, saved, AwsOptions())
    made.show()
    return made


@pytest.fixture
def form(shell, request):
    shell.run_cell("%%sageturner_load\ndef load():\n    return 1")
    shell.run_cell("%%sageturner_predict\ndef predict(model, request):\n    return request")
    return request.getfixturevalue("bare_form")


def widgets(root):
    """All widgets below one."""
    yield root
    for child in getattr(root, "children", ()):
        yield from widgets(child)


def named(form, description):
    return next(
        each for each in widgets(form.widget) if getattr(each, "description", None) == description
    )


def shown(form):
    """All HTML of the form."""
    return "\n".join(each.value for each in widgets(form.widget) if type(each).__name__ == "HTML")


def named_panel(form):
    """What the last deployment shows."""
    return "\n".join(
        each.value for each in widgets(form.widget.children[3]) if type(each).__name__ == "HTML"
    )


def test_where_no_widget_can_be_shown_the_verb_says_what_to_do(shell):
    with pytest.raises(UsageError, match="JupyterLab"):
        shell.run_line_magic("sageturner", "form")


def test_each_change_is_seen_in_the_yaml(form):
    named(form, "Name").value = "other"
    named(form, "Endpoint type").value = "serverless"
    named(form, "Memory").value = "4096"
    named(form, "Serving").value = True
    named(form, "Timeout (s)").value = 30
    assert "name: other" in shown(form) and "memory: 4096" in shown(form)
    assert "timeout_s: 30" in shown(form)


def test_a_local_endpoint_can_be_chosen_to_run_in_a_container(form):
    mode = named(form, "Mode")
    assert [value for _, value in mode.options] == ["", "container"]
    mode.value = "container"
    assert "local:\n    mode: container" in shown(form)
    named(form, "Endpoint type").value = "serverless"
    assert "Mode" not in [getattr(each, "description", "") for each in widgets(form.widget)]


def text_of(root):
    """The field of several lines below a widget."""
    return next(each for each in widgets(root) if type(each).__name__ == "Textarea")


def test_the_packages_that_auto_takes_are_shown_and_become_a_list_to_edit(form, shell):
    wait_until(lambda: "needs only what Python brings" in shown(form))
    shell.run_cell("%%sageturner_load\nimport yaml\ndef load():\n    return yaml.safe_load('1')")
    line = f"PyYAML=={metadata.version('pyyaml')}"
    wait_until(lambda: line in shown(form))
    assert "import yaml" in shown(form)
    named(form, "Edit this list").click()
    packages = text_of(form.widget)
    assert packages.value == line
    assert f"- {line}" in shown(form)
    packages.value = "numpy>=2\n\n pandas \n"
    assert "- numpy&gt;=2\n      - pandas" in shown(form)
    named(form, "Take them automatically").click()
    assert "python_packages" not in shown(form) and line in shown(form)


def test_code_that_no_installer_can_serve_is_said_where_its_packages_would_stand(form, shell):
    sys.modules["nobodys"] = types.ModuleType("nobodys")
    try:
        shell.run_cell("%%sageturner_load\nimport nobodys\ndef load():\n    return nobodys")
        wait_until(lambda: "No package is known that has `nobodys`" in shown(form))
    finally:
        del sys.modules["nobodys"]
    assert named(form, "Edit this list").disabled


def test_a_list_of_packages_that_a_file_has_is_shown_to_be_edited():
    changed = []
    field = PackagesField(field_at(PACKAGES), ["numpy>=2"], changed.append)
    assert text_of(field.widget).value == "numpy>=2" and changed == []
    field.show([Finding("It is not a package")])
    assert "It is not a package" in "".join(
        each.value for each in widgets(field.widget) if type(each).__name__ == "HTML"
    )


def test_a_problem_is_shown_beside_its_field_until_it_is_mended(form):
    named(form, "Name").value = "Digits!"
    assert "sageturner-problem" in shown(form) and "Write <code>digits</code>" in shown(form)
    assert "1 problem" in shown(form)
    named(form, "Deploy").click()
    assert "1 problem" in shown(form)
    named(form, "Name").value = "digits"
    assert "Ready to deploy digits" in shown(form)
    assert '<ul class="sageturner-problem">' not in shown(form)


def test_what_is_typed_is_shown_as_text(form):
    named(form, "Name").value = "<img src=x onerror=alert(1)>"
    assert "<img" not in shown(form)
    assert "&lt;img" in shown(form)


def test_a_name_without_code_is_said_at_once(form, shell):
    assert "✓ captured" in shown(form)
    shell.run_cell("%%sageturner_load half\ndef load():\n    return 1")
    named(form, "Name").value = "half"
    assert "No predict is captured for <code>half</code>" in shown(form)
    assert "1 problem" in shown(form)


def test_nothing_is_deployed_without_code_and_the_form_says_why(form):
    named(form, "Code folder").value = "./nowhere"
    named(form, "Deploy").click()
    wait_until(lambda: "nowhere" in named_panel(form))
    wait_until(lambda: not named(form, "Deploy").disabled)


def test_save_keeps_what_others_wrote(form, tmp_path):
    named(form, "Save YAML").click()
    file = tmp_path / "sageturner.yaml"
    assert file.read_text() == "name: digits\n"
    named(form, "Name").value = "other"
    named(form, "Save YAML").click()
    assert file.read_text() == "name: other\n"
    file.write_text("name: theirs\n")
    named(form, "Save YAML").click()
    assert file.read_text() == "name: theirs\n"
    assert "has changed since the form read it" in shown(form)
    (tmp_path / "taken.yaml").write_text("name: theirs\n")
    named(form, "YAML file").value = "taken.yaml"
    named(form, "Save YAML").click()
    assert (tmp_path / "taken.yaml").read_text() == "name: theirs\n"


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        SavedFile("x.yaml", None).save(str(tmp_path / "file" / "x.yaml"), "name: a\n")


def test_instance_types_are_offered_that_fit_with_what_they_have(form):
    named(form, "Endpoint type").value = "server"
    instance = named(form, "Instance type")
    wait_until(lambda: "AWS Inferentia" in shown(form))
    labels = {name: label for label, name in instance.options}
    assert labels["ml.g5.xlarge"] == "ml.g5.xlarge · A10G, 24 GB"
    assert labels["ml.g5.12xlarge"] == "ml.g5.12xlarge · 4 x A10G, 24 GB each"
    assert "ml.inf1.xlarge" not in labels
    instance.value = "ml.c5.large"
    assert "instance_type: ml.c5.large" in shown(form)


def test_every_instance_type_says_what_it_has_and_costs_where_that_is_known():
    field = InstanceField("ml.m5.xlarge", lambda _: None)
    field.price({"ml.g5.xlarge": HostedInstance(1.408, "4", "16 GiB")})
    field.offer(
        [
            InstanceChoice("ml.g5.xlarge", "A10G, 24 GB", True, ""),
            InstanceChoice("ml.m5.xlarge", "", True, ""),
        ]
    )
    assert field.control.options == (
        ("ml.g5.xlarge · A10G, 24 GB · 4 vCPU, 16 GiB · $1.408/h", "ml.g5.xlarge"),
        ("ml.m5.xlarge", "ml.m5.xlarge"),
    )
    field.price({"ml.m5.xlarge": HostedInstance(0.23, "", "")})
    assert dict(field.control.options)["ml.m5.xlarge · $0.230/h"] == "ml.m5.xlarge"
    assert field.control.value == "ml.m5.xlarge"


def test_what_changes_is_said_once_and_as_text():
    announcer = Announcer()
    values = []
    announcer.widget.observe(lambda change: values.append(change["new"]), "value")
    for text in ('<img src=x onerror="alert(1)">', '<img src=x onerror="alert(1)">', "Ready"):
        announcer.say(text)
    assert len(values) == 2
    assert "<img" not in values[0] and "&lt;img src=x onerror=&#34;alert" in values[0]


def test_an_artefact_is_live_variables_a_path_or_nothing(form):
    made = []
    editor = ArtefactEditor(None, [("model (Model)", "model")], made.append, form._live)
    editor.control.value = "variables"
    file, variable = next(
        each.children[:2] for each in widgets(editor.widget) if type(each).__name__ == "HBox"
    )
    assert file.value == "model.joblib"
    variable.value = "model"
    editor.control.value = "path"
    next(each for each in widgets(editor.widget) if type(each).__name__ == "Text").value = "./m"
    editor.control.value = "none"
    assert made == [{"model.joblib": ""}, {"model.joblib": "model"}, "", "./m", None]


CLASS = """\
class Doubling:
    by = 2
    def predict(self, rows):
        return [each * self.by for each in rows]
    def __call__(self, request):
        return self.predict(request["rows"])
first = Doubling()
second = Doubling()
"""


def test_a_model_of_the_notebook_is_deployed_as_the_line_with_model_does(bare_form, shell):
    shell.run_cell(CLASS, store_history=True)
    named(bare_form, "Name").value = "doubling"
    named(bare_form, "Model").value = "model"
    variable = named(bare_form, "Variable")
    assert [name for _, name in variable.options] == ["second", "first"]
    assert "%%sageturner deploy -e local --model second\nname: doubling" in shown(bare_form)
    wait_until(lambda: "1 problem" not in shown(bare_form))
    variable.value = "first"
    named(bare_form, "Example").value = "{'rows': [1, 2]}"
    assert "--model first --example" in shown(bare_form)
    kinds = [each for each in widgets(bare_form.widget) if type(each).__name__ == "ToggleButtons"]
    kinds[0].value = "sageturner.py"
    wait_until(lambda: "Written by sageturner_magic for `first`" in shown(bare_form))
    assert "generated for first" in shown(bare_form)
    named(bare_form, "Save YAML").click()
    assert "%sageturner deploy -e local --model first" in shown(bare_form)
    named(bare_form, "Model").value = "none"
    shell.run_cell("third = Doubling()", store_history=True)
    assert "1 problem: see code" in shown(bare_form)
    kinds[0].value = "YAML"
    named(bare_form, "Save YAML").click()
    assert "--model first" not in shown(bare_form)


def test_an_object_that_cannot_be_served_is_refused_beside_the_field(bare_form, shell):
    shell.run_cell("def count(rows):\n    return nobodys(rows)", store_history=True)
    named(bare_form, "Name").value = "counting"
    named(bare_form, "Model").value = "model"
    wait_until(lambda: "1 problem: see model" in shown(bare_form))
    shell.run_cell("def count(rows):\n    return len(rows)", store_history=True)
    wait_until(lambda: "Ready to deploy counting" in shown(bare_form))


def test_a_form_begins_with_the_newest_model_where_nothing_is_captured(shell):
    session = shell.magics_manager.registry["SageturnerMagics"].session
    values = Form("name: my-model\n", Path.cwd(), "local", "generate")
    assert first_model(session.notebook, values, is_new=True) == ("", "")
    shell.run_cell(CLASS, store_history=True)
    assert first_model(session.notebook, values, is_new=True) == ("second", "")
    assert first_model(session.notebook, values, is_new=False) == ("", "")
    shell.run_line_magic("sageturner", "code my-model --model first --example 1")
    assert first_model(session.notebook, values, is_new=False) == ("first", "1")
    shell.run_cell("%%sageturner_load\ndef load():\n    return 1")
    assert first_model(session.notebook, values, is_new=True) == ("", "")


def test_a_variable_that_a_later_cell_makes_can_be_chosen(form, shell):
    named(form, "Model").value = "variables"
    shell.run_cell("regression = [1, 2]")
    variable = named(form, "Variable")
    assert ("regression (list)", "regression") in variable.options
    variable.value = "regression"
    shell.run_cell("other = 1")
    assert variable.value == "regression"
    assert "model.joblib: regression" in shown(form)


def test_pairs_are_added_changed_and_removed():
    made = []
    editor = PairsEditor("Environment", {"A": "1"}, made.append)
    editor.children[-1].click()
    name, value, _ = editor.children[2].children
    name.value, value.value = "B", "2"
    editor.children[1].children[2].click()
    assert made[-3:] == [{"A": "1", "B": ""}, {"A": "1", "B": "2"}, {"B": "2"}]


@pytest.mark.parametrize(
    ("path", "held"),
    [
        (("serving", "nan"), None),
        (("serving", "timeout_s"), "30"),
        (("container", "generate_container", "python_packages"), "auto"),
        (("container", "generate_container", "python_version"), "3.11"),
        (("container", "generate_container", "install_cuda"), "true"),
        (("compute", "server", "volume_gb"), "8"),
    ],
)
def test_showing_a_value_does_not_change_it(path, held):
    changed = []
    view = FieldView(field_at(path), held, changed.append)
    view.show(())
    assert changed == []


def test_states_of_cells_are_shown_as_text():
    html = code_html([CodeState("<b>x</b>", "load in In[1]", "missing")])
    assert "&lt;b&gt;x&lt;/b&gt;" in html and "✗ missing" in html


def test_of_several_pieces_of_work_only_the_last_ones_result_is_used():
    background, first, done = Background(), threading.Event(), []
    background.start("x", lambda: first.wait(SECONDS) and "old", done.append, done.append)
    background.start("x", lambda: "new", done.append, done.append)
    wait_until(lambda: done == ["new"])
    first.set()
    background.start("y", lambda: 1 / 0, done.append, done.append)
    wait_until(lambda: len(done) == 2)
    assert isinstance(done[1], SageturnerError) and "ZeroDivisionError" in str(done[1])


class Asked:
    """An endpoint with this example."""

    def __init__(self, example):
        self._example = example

    def example_request(self):
        return self._example


def test_a_request_begins_with_the_endpoints_example_the_notebooks_or_empty():
    notebooks = {"example_request": lambda: {"a": [1]}}
    assert first_request(Asked({"b": 2}), notebooks) == '{\n  "b": 2\n}'
    assert first_request(Asked(None), notebooks) == '{\n  "a": [\n    1\n  ]\n}'
    assert first_request(Asked(None), {}) == "{}"
    assert first_request(Asked(None), {"example_request": lambda: 1 / 0}) == "{}"
