"""What a person sees and may rely on in a notebook, with real kernels."""

import contextlib
import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.integration.conftest import servers_of, wait_until

QUICKSTART = Path(__file__).parents[3] / "example_notebooks" / "01_quickstart.ipynb"

LOAD = """
%%sageturner_load echo
def load():
    return "loaded"
"""
PREDICT = """
%%sageturner_predict echo
def predict(model, request):
    return {"model": model, "request": request}
"""
DEPLOY = """
%%sageturner deploy
name: echo
"""


@pytest.fixture(autouse=True)
def own_environment(state, monkeypatch, tmp_path):
    """A fresh state folder and IPython folder, and the kernel of this environment."""
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


def run(*sources, path="."):
    """The executed notebook. Raises CellExecutionError as nbclient and papermill do."""
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(path)}}
    )
    client.execute()
    return notebook


def fails(*sources, path="."):
    """The error of the cell that fails."""
    with pytest.raises(CellExecutionError) as raised:
        run(*sources, path=path)
    return raised.value


def text(cell):
    """Everything that a cell shows, as text."""
    return "\n".join(
        output.get("text") or output.data.get("text/plain", "") for output in cell.outputs
    )


def html(cell):
    return "\n".join(
        output.data.get("text/html", "") for output in cell.outputs if "data" in output
    )


EXTENSION = "%load_ext sageturner_magic"


def test_the_quickstart_answers_every_held_out_image_and_keeps_its_results(tmp_path):
    notebook = nbformat.read(QUICKSTART, as_version=4)
    NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    everything = "\n".join(text(cell) for cell in cells)
    accuracy = float(everything.partition("accuracy: ")[2][:5])
    assert accuracy > 0.95

    saved = json.dumps(notebook)
    assert len(saved) < 200_000
    assert "widget-view" not in "".join(
        key for cell in cells for output in cell.outputs for key in output.get("data", {})
    )
    assert any("answers at" in html(cell) for cell in cells)
    pictures = [
        output for cell in cells for output in cell.outputs if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 2
    assert "def load(model_dir)" in everything


def test_a_cell_that_was_changed_and_not_deployed_says_what_the_endpoint_still_runs():
    changed = PREDICT.replace('"model": model', '"mended": model')
    notebook = run(
        EXTENSION, LOAD, PREDICT, DEPLOY, PREDICT, changed, "%sageturner delete echo", changed
    )
    again, other, _, after = notebook.cells[4:]
    assert "until it is deployed again" not in text(again)
    assert "endpoint `echo` runs the code from In[3] until you deploy it again" in text(other)
    assert "until it is deployed again" not in text(after)


def test_a_prediction_is_shown_and_can_be_used():
    notebook = run(
        EXTENSION,
        LOAD,
        PREDICT,
        DEPLOY,
        "%sageturner invoke echo [1, {'a': 2}]",
        'p = %sageturner invoke echo {"x": sum([1, 2])}\nprint(p["request"], p.status)',
        "%%sageturner invoke echo\n{'line':\n 1}",
        '%sageturner invoke echo {"json": true}',
        "%sageturner delete echo",
    )
    assert "<details" in html(notebook.cells[4]) and "HTTP 200" in html(notebook.cells[4])
    assert text(notebook.cells[5]).strip() == "{'x': 3} 200"
    assert '"line": 1' in text(notebook.cells[6])
    assert '"json": true' in text(notebook.cells[7])


def test_deploying_shows_which_cells_are_shipped_and_how_to_call_it():
    notebook = run(EXTENSION, LOAD, PREDICT, DEPLOY)
    shown = html(notebook.cells[3])
    assert "In[2], In[3]" in shown
    assert "curl http://127.0.0.1:" in shown and "-H @/" in shown and "/docs" in shown
    # A saved notebook is shared: the token is in none of its outputs.
    assert "Authorization: token" not in shown and "token=" not in shown


def test_a_notebook_variable_is_the_artefact():
    notebook = run(
        EXTENSION,
        "weights = [1, 2, 3]",
        """
%%sageturner_load
import json
def load(model_dir):
    return json.load(open(model_dir + "/weights.json"))
""",
        "%%sageturner_predict\ndef predict(model, request):\n    return model",
        "%%sageturner deploy\nname: sums\nartefact: {weights.json: weights}",
        "p = %sageturner invoke sums 1\nprint(p.value)",
    )
    assert text(notebook.cells[5]).strip() == "[1, 2, 3]"


UNNAMED = (
    "%%sageturner_load\ndef load():\n    return 1",
    "%%sageturner_predict\ndef predict(model, request):\n    return model",
)


def test_unnamed_cells_that_serve_one_endpoint_are_not_taken_for_another():
    error = fails(
        EXTENSION, *UNNAMED, "%%sageturner deploy\nname: cats", "%%sageturner deploy\nname: dogs"
    )
    assert "load and predict of the unnamed cells serve `cats`" in str(error)


@pytest.mark.parametrize(
    "delete",
    ["%sageturner delete cats", "import sageturner_magic\nsageturner_magic.delete('cats')"],
)
def test_unnamed_cells_are_free_when_their_endpoint_is_deleted(delete):
    notebook = run(
        EXTENSION,
        *UNNAMED,
        "%%sageturner deploy\nname: cats",
        delete,
        "%%sageturner deploy\nname: dogs",
    )
    assert "dogs answers at" in html(notebook.cells[-1])


def test_imports_of_other_cells_come_along():
    notebook = run(
        EXTENSION,
        "import math\nimport os.path as p",
        LOAD,
        "%%sageturner_predict echo\ndef predict(model, request):\n    return math.sqrt(request)",
        DEPLOY,
        "p = %sageturner invoke echo 16\nprint(p.value)",
        "%sageturner code echo",
    )
    assert text(notebook.cells[5]).strip() == "4.0"
    module = text(notebook.cells[6])
    assert "import math" in module and "os.path" not in module


def test_what_ran_before_the_extension_was_loaded_comes_along():
    notebook = run(
        "import math\nSCALE = 2",
        EXTENSION,
        LOAD,
        "%%sageturner_predict echo\ndef predict(model, request):\n"
        "    return math.sqrt(request) * SCALE",
        DEPLOY,
        "p = %sageturner invoke echo 16\nprint(p.value)",
    )
    assert text(notebook.cells[5]).strip() == "8.0"


def test_two_models_in_one_notebook_stay_apart():
    def pair(name, answer):
        return (
            f"%%sageturner_load {name}\ndef load():\n    return '{answer}'",
            f"%%sageturner_predict {name}\ndef predict(model, request):\n    return model",
            f"%%sageturner deploy\nname: {name}",
        )

    notebook = run(
        EXTENSION,
        *pair("first", "one"),
        *pair("second", "two"),
        "%%sageturner deploy\nname: first",
        "a = %sageturner invoke first 1\nb = %sageturner invoke second 1\nprint(a.value, b.value)",
    )
    assert "nothing has changed" in text(notebook.cells[7])
    assert text(notebook.cells[8]).strip() == "one two"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("%%sageturner_load\n# nothing but a comment", "No function load"),
        ("%%sageturner_load\ndef load(:\n    pass", "line 2"),
        ("%%sageturner_load\ndef load(): pass\ndef load(): pass", "load"),
        ("%%sageturner_load\ndef laod(): pass", "laod"),
        ("%%sageturner_predict\ndef predict(model): pass", "predict(model, request)"),
        ("%%sageturner_load\n!pip list\ndef load(): pass", "line 2"),
        ("%%sageturner_load two names\ndef load(): pass", "one name"),
        ("%%sageturner_load My Model\ndef load(): pass", "one name"),
        ("%%sageturner_load My_Model\ndef load(): pass", "my-model"),
        ("%%sageturner deploy\n- a\n- b", "list"),
        ("%%sageturner deploy\n\tname: x", "tab"),
        ("%%sageturner deploy\nname: My Model", "my-model"),
        ("%%sageturner deploy\nname: echo\nartifact: x", "artefact"),
        ("%%sageturner deploy\nname: echo\ncomputee: {}", "compute"),
        ("%%sageturner deploy\nname: echo", "captured"),
        ("%sageturner deploy -c $nowhere", "nowhere"),
        ("%sageturner deplyo", "did you mean `deploy`"),
        ("%sageturner invoke nobody 1", "no local endpoint `nobody`"),
        ("%sageturner invoke echo", "no payload"),
        ("%sageturner deploy -e serverless -c missing.yaml", "missing.yaml"),
    ],
)
def test_a_mistake_fails_the_cell_with_a_message_and_a_next_step(cell, message):
    error = fails(EXTENSION, cell)
    assert message in error.evalue
    shown = "\n".join(error.traceback) if isinstance(error.traceback, list) else error.traceback
    assert "Do: " in shown
    assert "Traceback" not in shown and "site-packages" not in shown


def test_an_empty_cell_is_refused_by_ipython_itself():
    error = fails(EXTENSION, "%%sageturner_load")
    assert error.ename == "UsageError" and "empty" in error.evalue


def test_a_five_megabyte_configuration_is_refused_at_once():
    error = fails(EXTENSION, "%%sageturner deploy\nname: echo\n" + "# filler\n" * 600_000)
    assert "YAML" in error.evalue or "configuration" in error.evalue


def test_a_name_that_cannot_be_shipped_says_which_cell_made_it(tmp_path):
    error = fails(
        EXTENSION,
        "threshold = open('notes.txt', 'w')",
        LOAD,
        "%%sageturner_predict echo\ndef predict(model, request):\n    return threshold",
        DEPLOY,
        path=tmp_path,
    )
    assert "threshold" in error.evalue and "In[2]" in error.evalue


def test_an_error_of_the_cells_own_code_has_its_own_line_number():
    error = fails(EXTENSION, "%%sageturner_load\nx = 1\ny = 1 / 0\ndef load(): pass")
    assert error.ename == "ZeroDivisionError"
    assert "line 3" in error.traceback
    assert "sageturner_magic/" not in error.traceback


def test_comments_may_stand_above_a_cell_magic():
    notebook = run(
        EXTENSION,
        f"# The model\n\n# of this page{LOAD}",
        "# Answers\n%%sageturner_predict echo\ndef predict(model, request):\n"
        "    return {'model': model, 'twice': request * 2}",
        f"# Deployed here{DEPLOY}",
        "%sageturner invoke echo 4",
    )
    assert '"twice": 8' in text(notebook.cells[-1])
    error = fails(
        EXTENSION,
        LOAD,
        "# Answers\n%%sageturner_predict echo\ndef predict(model, request):\n    return 1 / 0",
        f"# Deployed here{DEPLOY}",
        "%sageturner invoke echo 4",
    )
    assert "In[3], line 4" in error.traceback


def test_an_exception_in_predict_names_the_cell_and_its_line():
    error = fails(
        EXTENSION,
        LOAD,
        "%%sageturner_predict echo\ndef predict(model, request):\n    return request['missing']",
        DEPLOY,
        "%sageturner invoke echo {}",
    )
    assert error.ename == "InvocationError"
    assert "In[3], line 3" in error.traceback


def test_no_wait_gives_a_handle_that_can_be_awaited():
    notebook = run(
        EXTENSION,
        LOAD,
        PREDICT,
        "handle = get_ipython().run_cell_magic('sageturner', 'deploy --no-wait', 'name: echo')",
        "deployment = await handle\nprint(deployment.name, handle.status)",
        "%sageturner delete echo",
    )
    assert text(notebook.cells[4]).strip().endswith("echo done")


def test_line_variables_are_expanded_by_name(tmp_path):
    (tmp_path / "mine.yaml").write_text("name: echo\n")
    notebook = run(
        EXTENSION, LOAD, PREDICT, "where = 'mine.yaml'", "%sageturner plan -c $where", path=tmp_path
    )
    assert "echo" in text(notebook.cells[4])


def test_in_a_function_a_magic_takes_the_functions_variables():
    notebook = run(
        EXTENSION,
        LOAD,
        PREDICT,
        DEPLOY,
        "image, name = 'global', 'nobody'",
        """
def classify(image, name):
    answers = []
    for size in range(2):
        p = %sageturner invoke $name [image, size, *(image for _ in range(size))]
        answers.append(p["request"])
    return answers
print(classify("local", "echo"))""",
        "%sageturner invoke echo image --json",
        "%sageturner delete echo --yes",
    )
    assert "[['local', 0], ['local', 1, 'local']]" in text(notebook.cells[5])
    assert '"request": "global"' in text(notebook.cells[6])


def test_help_is_there_for_every_magic():
    notebook = run(
        EXTENSION, "%sageturner", "%sageturner deploy --help", "print(get_ipython().run_line_magic)"
    )
    assert "deploy" in text(notebook.cells[1]) and "invoke" in text(notebook.cells[1])
    assert "--endpoint-type" in text(notebook.cells[2])


# --- kernels that are interrupted and killed ----------------------------------------------


class Kernel:
    """A kernel that cells are sent to one by one."""

    def __init__(self):
        self.manager, self.client = start_new_kernel(kernel_name="python3")

    def start(self, source):
        return self.client.execute(source.strip())

    def reply(self, message_id, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            reply = self.client.get_shell_msg(timeout=seconds)
            if reply["parent_header"].get("msg_id") == message_id:
                return reply["content"]
        raise AssertionError("the kernel did not reply")

    def run(self, source):
        content = self.reply(self.start(source))
        assert content["status"] == "ok", content
        return content


@pytest.fixture
def kernel():
    made = Kernel()
    yield made
    made.client.stop_channels()
    with contextlib.suppress(Exception):
        made.manager.shutdown_kernel(now=True)


NEVER = "%%sageturner_load echo\nimport time\ndef load():\n    time.sleep(600)"


def test_the_stop_button_cancels_and_leaves_no_process(kernel, state):
    for source in (EXTENSION, NEVER, PREDICT):
        kernel.run(source)
    deploying = kernel.start(DEPLOY)
    wait_until(lambda: servers_of(state))
    kernel.manager.interrupt_kernel()
    content = kernel.reply(deploying)
    assert content["status"] == "error" and content["ename"] == "DeploymentCancelled"
    assert servers_of(state) == []
    kernel.run("1 + 1")


def test_a_kernel_killed_during_a_deployment_leaves_no_process(kernel, state):
    for source in (EXTENSION, NEVER, PREDICT):
        kernel.run(source)
    kernel.start(DEPLOY)
    wait_until(lambda: servers_of(state))
    os.kill(kernel.manager.provisioner.pid, 9)
    wait_until(lambda: not servers_of(state), what="the servers' end")


def test_an_endpoint_ends_with_its_kernel(kernel, state):
    for source in (EXTENSION, LOAD, PREDICT, DEPLOY):
        kernel.run(source)
    assert servers_of(state)
    kernel.manager.shutdown_kernel(now=True)
    wait_until(lambda: not servers_of(state), what="the servers' end")


def test_a_detached_endpoint_outlives_its_kernel(kernel, state):
    import sageturner_magic as sageturner

    for source in (EXTENSION, LOAD, PREDICT, DEPLOY.replace("deploy", "deploy --detach")):
        kernel.run(source)
    kernel.manager.shutdown_kernel(now=True)
    assert sageturner.invoke("echo", 1)["model"] == "loaded"
    sageturner.delete("echo")


# --- the extension itself -----------------------------------------------------------------


def python(source):
    """What a new interpreter prints when it runs `source` after making a shell called ip."""
    setup = """
        import json, sys
        from IPython.core.interactiveshell import InteractiveShell
        ip = InteractiveShell.instance()
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(setup) + textwrap.dedent(source)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(result.stdout.strip().splitlines()[-1])


HEAVY = ("boto3", "botocore", "docker", "ipywidgets", "jinja2", "yaml", "pydantic")


def test_loading_the_extension_imports_nothing_heavy():
    loaded = python("""
        ip.run_line_magic("load_ext", "sageturner_magic")
        print(json.dumps(sorted(sys.modules)))
    """)
    assert not set(HEAVY) & set(loaded)


def test_unloading_leaves_nothing_behind():
    before, after = python("""
        def everything():
            formatter = ip.display_formatter.formatters["text/html"]
            return [
                sorted(ip.magics_manager.magics["line"]),
                sorted(ip.magics_manager.magics["cell"]),
                sorted(ip.magics_manager.registry),
                len(ip.configurables),
                sorted(map(str, formatter.deferred_printers)),
                {name: len(found) for name, found in ip.events.callbacks.items()},
                sorted(ip.user_ns),
                len(ip.input_transformers_cleanup),
            ]
        ip.run_line_magic("reload_ext", "storemagic")
        before = everything()
        ip.run_line_magic("load_ext", "sageturner_magic")
        assert "sageturner" in ip.magics_manager.magics["line"]
        ip.run_line_magic("unload_ext", "sageturner_magic")
        print(json.dumps([before, everything()]))
    """)
    assert after == before


def test_magics_have_docstrings_for_question_mark_help():
    documents = python("""
        ip.run_line_magic("load_ext", "sageturner_magic")
        names = ("sageturner_load", "sageturner_predict", "sageturner")
        print(json.dumps([ip.magics_manager.magics["cell"][name].__doc__ for name in names]))
    """)
    assert all("%%sageturner" in document for document in documents)


def test_progress_as_text_is_lines_of_the_cell():
    notebook = run(
        EXTENSION,
        LOAD,
        PREDICT,
        "%config SageturnerMagics.progress_style = 'text'",
        DEPLOY,
        "%sageturner delete echo",
    )
    assert all(output.output_type == "stream" for output in notebook.cells[4].outputs)
    assert "Load the model: done in" in text(notebook.cells[4])
    assert "echo answers at http" in text(notebook.cells[4])
