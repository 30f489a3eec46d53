"""torch on an endpoint without a GPU: the CPU build, chosen unasked, by both builders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.no_engine import NoEngine, no_engine
from tests.parts.torch import CpuTorch, cpu_torch
from tests.stand import Stand
from tests.stand.project import Project

pytestmark = [pytest.mark.torch, pytest.mark.docker, pytest.mark.registry]

CODE = """\
import torch

def load():
    model = torch.nn.Linear(4, 1)
    with torch.no_grad():
        model.weight.fill_(2.0)
        model.bias.fill_(1.0)
    return model

def predict(model, request):
    with torch.no_grad():
        answer = model(torch.tensor(request["x"])).item()
    return {"answer": answer, "version": torch.__version__, "cuda": torch.version.cuda}

def example_request():
    return {"x": [0.0, 0.0, 0.0, 0.0]}
"""


@pytest.fixture(scope="module")
def torch() -> CpuTorch:
    found = cpu_torch()
    assert found
    return found


@pytest.fixture(scope="module")
def away(torch: CpuTorch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NoEngine]:
    with no_engine(tmp_path_factory.mktemp("away"), torch.python) as machine:
        yield machine


@pytest.mark.parametrize("builder", ["docker", "layers"])
def test_torch_becomes_its_cpu_build_and_answers(
    stand: Stand, torch: CpuTorch, away: NoEngine, tmp_path: Path, builder: str
) -> None:
    project = Project(stand, tmp_path, f"torch-{builder}")
    made = {
        "code_dir": "./code",
        "python_version": torch.python,
        "python_packages": [torch.requirement],
    }
    if builder == "layers":
        project.variables.update(away.environment)
        made["base_image"] = away.base
    project.write_code(code=CODE)
    project.configure(container={"generate_container": made})
    project.run("setup")
    facts = project.json("plan", "-e", "serverless")["facts"]
    assert "+cpu" in facts["packages"] and f"built with {builder}" in facts["image"]
    assert "Try the image: done" in project.run("deploy", "-e", "serverless").err
    answer = project.invoke({"x": [1.0, 2.0, 3.0, 4.0]})
    assert answer["answer"] == 21.0
    assert answer["version"].endswith("+cpu") and answer["cuda"] is None
    project.run("delete", project.name, "--yes")
    project.run("teardown", "--yes")
