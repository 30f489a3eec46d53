"""A model that was trained on a GPU, from the notebook to an endpoint."""

import contextlib
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

import sageturner_magic as sageturner
from sageturner_magic.config import Origin, parse_config
from sageturner_magic.deployment import tried
from sageturner_magic.deployment.ingredients import gather
from sageturner_magic.deployment.request import Collector, DeployRequest, NotebookCode
from sageturner_magic.errors import CaptureError, SageturnerError
from tests.integration.conftest import state  # noqa: F401
from tests.parts.recorder import Recorder

pytestmark = pytest.mark.gpu

TRAIN = """
    import torch
    model = torch.nn.Linear(3, 1, bias=False).cuda()
    with torch.no_grad():
        model.weight.fill_(2.0)
"""
LOAD = """
    %%sageturner_load
    def load(model_dir):
        import torch
        return torch.load(f"{model_dir}/model.pt", weights_only=False)
"""
PREDICT = """
    %%sageturner_predict
    def predict(model, request):
        import torch
        device = next(model.parameters()).device
        answer = model(torch.tensor(request, device=device))
        return {"value": answer.item(), "device": device.type}

    def example_request():
        return [1.0, 2.0, 3.0]
"""
CONFIG = """
name: twice
artefact: {model.pt: model}
compute: {serverless: {memory: 6144, max_concurrency: 1}}
"""


@pytest.fixture
def notebook(state, monkeypatch, tmp_path):  # noqa: F811
    """Runs cells in a shell of its own, and gives it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "sageturner_magic")

    def run(*cells):
        for cell in cells:
            shell.run_cell(textwrap.dedent(cell), store_history=True).raise_error()
        return shell

    yield run
    with contextlib.suppress(SageturnerError):
        sageturner.delete("twice")
    InteractiveShell.clear_instance()


def test_a_live_model_of_the_gpu_answers_from_the_gpu(notebook):
    notebook(TRAIN, LOAD, PREDICT)
    notebook(f"%%sageturner deploy\n{CONFIG.strip()}")
    assert sageturner.invoke("twice", [1.0, 1.0, 1.0]).value == {"value": 6.0, "device": "cuda"}


def tried_for(endpoint_type, shell, tmp_path):
    """The trial of what the notebook would deploy there."""
    from sageturner_magic.context import current_notebook

    config = parse_config(CONFIG, folder=tmp_path, origin=Origin.file("sageturner.yaml"))
    notebook = current_notebook()
    assert notebook is not None
    code = NotebookCode(notebook.notebook, config.name)
    asked = DeployRequest(
        config, endpoint_type, "generate", code, shell.user_ns, False, sys.executable
    )
    found = Collector()
    with tempfile.TemporaryDirectory() as work:
        ingredients = found.require(gather(asked, Path(work), Recorder(), found))
        return tried.run_trial(ingredients, Recorder())


def test_a_trial_for_serverless_has_no_gpu_and_says_what_to_write(notebook, tmp_path):
    shell = notebook(TRAIN, LOAD, PREDICT)
    with pytest.raises(CaptureError) as raised:
        tried_for("serverless", shell, tmp_path)
    assert "map_location" in str(raised.value)
    shell = notebook(LOAD.replace("=False", "=False, map_location='cpu'"))
    assert tried_for("serverless", shell, tmp_path).body == b'{"value":12.0,"device":"cpu"}'
    shell = notebook(LOAD.replace("=False)", "=False, map_location='cpu').cuda()"))
    with pytest.raises(CaptureError) as raised:
        tried_for("serverless", shell, tmp_path)
    assert "torch.cuda.is_available()" in str(raised.value)
