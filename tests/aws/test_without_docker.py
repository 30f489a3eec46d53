"""Deployments to SageMaker from a machine where no Docker engine is in reach.

The stand itself uses an engine, for what SageMaker runs.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.parts.no_engine import NoEngine, no_engine
from tests.stand import Stand
from tests.stand.project import Project

pytestmark = [pytest.mark.docker, pytest.mark.registry]

ROOT = Path(__file__).parents[2]
QUICKSTART, README = ROOT / "example_notebooks" / "01_quickstart.ipynb", ROOT / "README.md"
IN_IMAGES_ONLY = """\
import os

def load():
    if os.path.exists("/opt/venv"):
        raise OSError("no weights")

def predict(model, request):
    return request
"""

PLAIN = """\
def load():
    return %(factor)s

def predict(model, request):
    return {"answer": request["x"] * model}

def example_request():
    return {"x": 1}
"""

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="session")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NoEngine]:
    with no_engine(tmp_path_factory.mktemp("away"), PYTHON) as machine:
        yield machine


def executed(notebook: nbformat.NotebookNode, stand: Stand, away: NoEngine, tmp_path: Path) -> str:
    """What a notebook shows that runs on this machine."""
    environment = {
        **os.environ,
        **stand.environment,
        **away.environment,
        "SAGETURNER_STATE_DIR": str(tmp_path / "state"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute(env=environment)
    return "\n".join(
        output.get("text") or output.data.get("text/plain", "")
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    )


def notebook_of(*sources: str) -> nbformat.NotebookNode:
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(each.strip()) for each in sources]
    return notebook


def test_the_quickstart_notebook_deploys(stand: Stand, away: NoEngine, tmp_path: Path) -> None:
    before = stand.inventory()
    notebook = nbformat.read(QUICKSTART, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells:
        if "invoke digits test_images" in cell.source:
            # The name is then SageMaker's alone.
            cell.source += "\n%sageturner delete digits"
        if "deploy --endpoint-type local" in cell.source:
            cell.source = cell.source.replace("local", "serverless") + (
                f'\ncontainer: {{generate_container: {{base_image: "{away.base}"}}}}'
            )
        cell.source = cell.source.replace("delete digits", "delete digits --yes")
    load = next(number for number, cell in enumerate(notebook.cells) if "%load_ext" in cell.source)
    notebook.cells.insert(load + 1, nbformat.v4.new_code_cell("%sageturner setup"))
    notebook.cells.append(nbformat.v4.new_code_cell("%sageturner teardown --yes"))
    shown = executed(notebook, stand, away, tmp_path)
    for step in (
        "Build the image",
        "Try the image",
        "Push the image",
        "Wait until it is InService",
    ):
        assert f"✓ {step}" in shown
    assert "digits, deployed in" in shown
    assert float(shown.partition("accuracy: ")[2][:5]) > 0.95
    assert stand.inventory() == before


TRAINED = """\
import pandas
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

digits = load_digits()
classifier = LogisticRegression(max_iter=3000).fit(digits.data, digits.target)
image = digits.data[0]
X_test = pandas.DataFrame(digits.data)
"""


def cells_of(text: str, section: str) -> list[str]:
    """The cells that stand in a section of a page."""
    found = text.partition(f"## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"(?ms)^```(?:python|yaml)\n(.*?)^```", found)


def test_the_readmes_cells_deploy_here_and_the_next_line_to_sagemaker(
    stand: Stand, away: NoEngine, tmp_path: Path
) -> None:
    before = stand.inventory()
    text = README.read_text("utf-8")
    (one_line,) = cells_of(text, "One line")
    cells = cells_of(text, "Three cells")
    (yaml,) = [
        number for number, cell in enumerate(cells) if cell.startswith("%%sageturner deploy")
    ]
    cells[yaml] += f'container: {{generate_container: {{base_image: "{away.base}"}}}}'
    assert "-e serverless" in cells[-1] and "\n" not in cells[-1].strip()
    ends = (
        '%sageturner invoke digits -e serverless {"pixels": list(image)}',
        "%sageturner delete digits -e local",
        "%sageturner delete digits -e serverless --yes",
        "%sageturner teardown --yes",
    )
    sources = (TRAINED, "%load_ext sageturner_magic", "%sageturner setup", *cells, *ends)
    shown = executed(notebook_of(*sources), stand, away, tmp_path)
    assert "✓ Wait until it is InService" in shown
    assert shown.count('"digit": 0') == 2
    sources = (TRAINED, one_line, "%sageturner delete digits -e local")
    shown = executed(notebook_of(*sources), stand, away, tmp_path)
    assert "digits answers at" in shown and '"predictions": [0, 1, 2]' in shown
    assert stand.inventory() == before


def test_the_command_deploys_and_a_change_of_code_sends_the_code_alone(
    stand: Stand, away: NoEngine, tmp_path: Path
) -> None:
    before = stand.inventory()
    project = Project(stand, tmp_path, "aloft", variables=away.environment)
    project.write_code(2, PLAIN)
    made = {"code_dir": "./code", "python_version": PYTHON, "base_image": away.base}
    project.configure(container={"generate_container": made})
    project.run("setup")

    planned = project.json("plan", "-e", "serverless")
    assert "built with layers, because no Docker engine answers" in planned["facts"]["image"]
    # Another test may have pushed the layers of the environment, never this program.
    assert planned["layers"][-1]["place"] in {"cache", "nowhere"}
    assert planned["layers"][0]["place"] in {"base", "registry"}
    assert planned["layers"][0]["size"] > 1_000_000

    first = project.run("deploy", "-e", "serverless")
    assert "Try the image: done" in first.err
    assert project.invoke({"x": 21}) == {"answer": 42}

    project.write_code(3, PLAIN)
    planned = project.json("plan", "-e", "serverless")
    assert "only code changed since aloft-" in planned["facts"]["image start"]
    changed = planned["layers"]
    assert [layer["title"] for layer in changed if layer["place"] != "registry"] == ["the program"]
    assert changed[-1]["size"] < 20_000
    again = project.run("deploy", "-e", "serverless")
    assert "Try the code: done" in again.err and "Try the image" not in again.err
    pushed = [line for line in again.err.splitlines() if ": pushed" in line]
    assert len(pushed) == 1 and pushed[0].startswith("  | the program: pushed")
    assert project.invoke({"x": 2}) == {"answer": 6}

    project.run("delete", "aloft", "--yes")
    project.run("teardown", "--yes")
    assert stand.inventory() == before


def test_an_image_that_fails_is_found_before_it_is_pushed(
    stand: Stand, away: NoEngine, tmp_path: Path
) -> None:
    project = Project(stand, tmp_path, "faulty", variables=away.environment)
    project.write_code(code=IN_IMAGES_ONLY)
    made = {"code_dir": "./code", "python_version": PYTHON, "base_image": away.base}
    project.configure(container={"generate_container": made})
    before = stand.inventory().get("images")
    project.run("setup")
    assert "load raised OSError: no weights" in project.refused("deploy", "-e", "serverless")
    assert stand.inventory().get("images") == before
    project.run("teardown", "--yes")
