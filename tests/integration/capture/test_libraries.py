"""What the large libraries write is read by them again, in an environment that has them all.

It is made by what makes the environments of `plan --verify`, and kept below `.nox`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sageturner_magic.image.environment import make_environment
from sageturner_magic.image.pip_arguments import parse
from sageturner_magic.image.requirements import Requirements, Target, resolve
from tests.parts.recorder import Recorder

pytestmark = pytest.mark.large

REPOSITORY = Path(__file__).parents[3]
LIBRARIES = (
    *("catboost", "joblib", "keras", "lightgbm", "numpy", "onnx", "pandas", "pyarrow", "pytest"),
    *("safetensors", "scikit-learn", "skops", "spacy", "xgboost-cpu"),
)
NEED_TORCH = ("torch", "transformers")
TORCH = "torch==2.13.0"


def resolved(*wanted: str) -> Requirements:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return resolve(parse(wanted, REPOSITORY), Target(version), Recorder())


@pytest.fixture(scope="module")
def torch() -> bool:
    """Whether a build of torch without CUDA, which would take gigabytes, can be had."""
    (found,) = (each for each in resolved(TORCH).packages if each.name == "torch")
    return found.version.endswith("+cpu")


@pytest.fixture(scope="module")
def python(torch: bool) -> Path:
    wanted = [*LIBRARIES, *([TORCH, "transformers"] if torch else [])]
    made = make_environment(
        resolved(*wanted), Path(sys.executable), Recorder(), REPOSITORY / ".nox" / "libraries"
    )
    return made.python


def test_every_librarys_objects_are_written_and_read_again(python: Path, torch: bool) -> None:
    done = subprocess.run(
        [
            python,
            "-m",
            "pytest",
            "-q",
            "-rs",
            "-p",
            "no:cacheprovider",
            "tests/unit/capture/test_writers.py",
        ],
        cwd=REPOSITORY,
        env={**os.environ, "KERAS_BACKEND": "torch" if torch else "numpy"},
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    skipped = set(re.findall(r"could not import '(\w+)", done.stdout))
    assert skipped <= (set() if torch else set(NEED_TORCH)), done.stdout[-3000:]
