"""The first hour of someone new: from a trained model to an endpoint here, and to one on SageMaker.

Each notebook trains a model; after it one cell deploys, one sends a request, and one deploys to
SageMaker.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.lab import Lab, add_kernel, jupyter, open_notebook, run_each, write
from tests.parts import kept_layers, network
from tests.parts.examples import environment_python
from tests.parts.torch import cpu_torch
from tests.stand import Stand
from tests.stand.fixtures import on_the_stand, stand
from tests.stand.project import Project

__all__ = ["on_the_stand", "stand"]

pytestmark = [pytest.mark.browser, pytest.mark.docker, pytest.mark.registry]


IMAGE_SECONDS = 900
"""For a cell that builds an image, pushes it and waits for the endpoint."""


@dataclass(frozen=True)
class FirstHour:
    """A notebook of someone new.

    Attributes:
        page: The page of the documentation in whose environment it runs.
        cells: From the first to the trained model.
        deploy: The cell after them.
        request: What is sent, as an expression.
        expected: What `answer` has to be.
    """

    page: str
    cells: tuple[str, ...]
    deploy: str
    request: str
    expected: str

    @property
    def name(self) -> str:
        """Of the endpoint."""
        return self.deploy.split()[2]

    @property
    def answered(self) -> tuple[str, str]:
        """The cell that sends the request, and what a test checks."""
        ask = f"answer = %sageturner invoke {self.name} {self.request}"
        return ask, f"assert {self.expected}, answer"

    @property
    def on_sagemaker(self) -> tuple[str, str, str, str]:
        """The one cell that deploys there, what a test checks, and the end of both endpoints."""
        ask, check = self.answered
        there = ask.replace("invoke", "invoke -e serverless")
        return f"%sageturner deploy {self.name} -e serverless", there, check, self.end

    @property
    def end(self) -> str:
        return "\n".join(
            f"%sageturner delete {self.name} -e {kind} --yes" for kind in ("local", "serverless")
        )


BOOSTED = FirstHour(
    "boosted-trees",
    (
        """\
import pandas
from lightgbm import LGBMClassifier
from sklearn.datasets import load_breast_cancer

FEATURES = ["mean radius", "mean texture", "spread"]
THRESHOLD = 0.3

def with_features(frame):
    return frame.assign(spread=frame["worst radius"] - frame["mean radius"])[FEATURES]""",
        """\
data = load_breast_cancer(as_frame=True)
model = LGBMClassifier(n_estimators=20, verbose=-1)
model.fit(with_features(data.data), data.target == 0)

def decide(request):
    chance = model.predict_proba(with_features(pandas.DataFrame([request])))[0, 1]
    return {"malignant": bool(chance >= THRESHOLD), "chance": chance}""",
    ),
    "%sageturner deploy tumours --model decide --example data.data.iloc[0].to_dict()",
    "data.data.iloc[0].to_dict()",
    "answer['malignant'] is True and answer.value == decide(data.data.iloc[0].to_dict())",
)
TEXTS = FirstHour(
    "boosted-trees",
    (
        """\
import re
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

def words(text):
    return re.findall(r"[a-z']+", text.lower())""",
        """\
texts = ["a wonderful phone", "broken and slow", "good value, wonderful", "slow, never again"]
pipeline = make_pipeline(TfidfVectorizer(tokenizer=words, token_pattern=None), LogisticRegression())
pipeline.fit(texts, ["good", "bad", "good", "bad"])""",
    ),
    "%sageturner deploy mood --model pipeline",
    '"A WONDERFUL screen"',
    "answer['predictions'] == ['good']",
)
NETWORK = FirstHour(
    "torch-cpu",
    (
        """\
import torch
from sklearn.datasets import load_digits
from torch import nn

class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    def forward(self, images):
        return self.layers(images / 16)""",
        """\
digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
labels = torch.tensor(digits.target)
net = Net(32)
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for step in range(30):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(images), labels)
    loss.backward()
    optimizer.step()""",
    ),
    "%sageturner deploy digits --model net --example images[:3]",
    "images[:2]",
    "torch.allclose(torch.tensor(answer['predictions']), net(images[:2]), rtol=1e-3, atol=1e-4)",
)


@pytest.fixture(scope="module")
def pythons() -> dict[str, Path]:
    """Page -> the interpreter of its environment, for whose version a base image is there."""
    pages = [BOOSTED.page, *([NETWORK.page] if cpu_torch() else [])]
    made = {page: environment_python(page) for page in pages}
    for python in made.values():
        kept_layers.keep(python.resolve().name.removeprefix("python"))
    return made


@pytest.fixture(scope="module")
def alone(
    stand: Stand, pythons: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[str]]:
    """A network for JupyterLab and Chromium; what starts a kernel in the machine's own.

    An engine that starts a container changes the machine's network, where the stand is.
    """
    project = Project(stand, tmp_path_factory.mktemp("account"), "first-hour")
    before = stand.inventory()
    project.run("setup")
    with ExitStack() as closing:
        enter: list[str] = []
        if network.possible():
            machine = closing.enter_context(Path("/proc/thread-self/ns/net").open())
            enter = ["nsenter", f"--net=/proc/{os.getpid()}/fd/{machine.fileno()}"]
            closing.enter_context(network.own_network())
        yield enter
    project.run("teardown", "--yes")
    assert stand.inventory() == before


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """What JupyterLab keeps, and its kernels' sockets, whose paths have to be short."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def lab(stand: Stand, alone: list[str], pythons: dict[str, Path], home: Path) -> Iterator[Lab]:
    """One JupyterLab for all notebooks, with a kernel for each page."""
    root = home / "root"
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stand.environment.items():
            patch.setenv(name, value)
        options = ["--KernelManager.transport=ipc"]
        for page, python in pythons.items():
            add_kernel(home, page, [*alone, str(python), "-m", "ipykernel_launcher"])
        with jupyter(root, home, options=options) as running:
            yield running


def first_hour(hour: FirstHour, page: Page, lab: Lab) -> None:
    """Run the notebook cell by cell; every cell has to end well."""
    cells = ("%load_ext sageturner_magic", *hour.cells, hour.deploy, *hour.answered)
    write(lab.root / f"{hour.name}.ipynb", *cells, *hour.on_sagemaker, kernel=hour.page)
    open_notebook(page, lab, f"{hour.name}.ipynb", kernel=True)
    run_each(page, IMAGE_SECONDS)


@pytest.mark.parametrize("hour", [BOOSTED, TEXTS], ids=["lightgbm", "tf-idf"])
def test_two_cells_bring_the_first_prediction_and_one_more_an_endpoint_on_sagemaker(
    hour: FirstHour, page: Page, lab: Lab
) -> None:
    first_hour(hour, page, lab)


@pytest.mark.torch
def test_the_same_with_a_network_whose_class_is_in_a_cell(page: Page, lab: Lab) -> None:
    first_hour(NETWORK, page, lab)
