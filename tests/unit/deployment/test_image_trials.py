"""Which changes of a model let its image go without a second start, and which do not."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sageturner_magic.config import Origin, parse_config
from sageturner_magic.deployment.ingredients import Ingredients
from sageturner_magic.deployment.plans.image_trials import MAX_AGE, ImageTrial, image_trial
from sageturner_magic.deployment.plans.images import WantedImage
from sageturner_magic.deployment.request import DeployRequest, FolderCode
from sageturner_magic.image import BuildSpec, ChosenBuilder, ProvidedSpec, image_tag
from sageturner_magic.image.layers import LayersBuilder
from sageturner_magic.packages import Requirements, Target
from sageturner_magic.values import Artefact, CapturedModule, SourceFile

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
CODE = "import json\ndef load(model_dir):\n    return open(f'{model_dir}/m')\n"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAGETURNER_STATE_DIR", str(tmp_path))
    return tmp_path / "image-trials"


def trial(
    code: str = CODE,
    *,
    beside: bytes = b"1",
    model: str = "0",
    base: str = "",
    system: tuple[str, ...] = (),
    memory: int = 2048,
    variables: dict[str, str] | None = None,
    extra: str = "",
    fresh: bool = False,
) -> ImageTrial:
    config = parse_config(
        f"name: m\ncontainer: {{generate_container: {{python_version: '{HERE}'}}}}\n{extra}",
        folder=Path("/"),
        origin=Origin.file("sageturner.yaml"),
    )
    source = FolderCode(Path("/nowhere"))
    asked = DeployRequest(config, "serverless", "generate", source, {}, False, sys.executable)
    files = (SourceFile("sageturner.py", code.encode()), SourceFile("words.txt", beside))
    module = CapturedModule("In[1]", files)
    nothing = Requirements(Target(HERE, "amd64"), ())
    spec = BuildSpec("m", module, nothing, nothing, base, system)
    made = Ingredients(
        replace(asked, fresh=fresh), module, Artefact(Path("/nowhere"), model * 64, 1, 1)
    )
    chosen = ChosenBuilder(LayersBuilder(), "amd64", "it is asked for")
    return image_trial(
        WantedImage(spec, image_tag(spec)), chosen, made, variables or {"A": "1"}, memory
    )


def test_an_image_that_differs_in_its_code_alone_is_not_started_again() -> None:
    first = trial()
    assert not first.since
    first.passed()
    changed = trial(CODE + "\ndef predict(model, request):\n    return {'sum': request['x'] + 1}\n")
    assert changed.tag != first.tag and changed.since == first.tag


@pytest.mark.parametrize(
    "change",
    [
        {"code": CODE.replace("import json", "import json, csv")},
        {"code": CODE.replace("import json", "import json\nfrom json import tool")},
        {"code": CODE + "def predict(model, request):\n    import csv\n"},
        {"code": CODE + "print(open('/usr/share/dict/words'))\n"},
        {"code": CODE + "print(open(b'/usr/share/dict/words'))\n"},
        {"code": CODE + "print(open('~/words'))\n"},
        {"code": CODE + "exec('import torch')\n"},
        {"beside": b"2"},
        {"model": "1"},
        {"base": "python:3.12"},
        {"system": ("tesseract-ocr",)},
        {"memory": 1024},
        {"variables": {"A": "2"}},
        {"fresh": True},
        {"extra": "artefact: s3://bucket/model.tar.gz"},
    ],
)
def test_an_image_that_differs_in_more_is_started(change) -> None:
    trial().passed()
    assert trial().since
    assert not trial(**change).since


@pytest.mark.parametrize(
    "reaching",
    [
        "import subprocess\nsubprocess.run(['git'])\n",
        "import os\nos.system('git')\n",
        "from os import popen as start\nstart('git')\n",
        "import ctypes\n",
        "import os\nos.environ['HOME']\n",
        "from pathlib import Path\nPath.home()\n",
    ],
)
def test_any_change_of_code_that_reaches_the_machine_starts_the_image(reaching) -> None:
    trial(reaching).passed()
    assert trial(reaching).since
    assert not trial(reaching + "x = 1\n").since


def test_a_start_of_yesterday_does_not_count(state: Path) -> None:
    trial().passed()
    (written,) = state.iterdir()
    long_ago = written.stat().st_mtime - MAX_AGE - 1
    os.utime(written, (long_ago, long_ago))
    assert not trial().since


def test_an_image_of_ones_own_is_always_started() -> None:
    wanted = WantedImage(ProvidedSpec("m", Path("/nowhere")), "m-0")
    chosen = ChosenBuilder(LayersBuilder(), "amd64", "it is asked for")
    made = Ingredients(None, CapturedModule("", ()), None)  # type: ignore[arg-type]
    own = image_trial(wanted, chosen, made, {}, None)
    own.passed()
    assert own == ImageTrial("m-0")
