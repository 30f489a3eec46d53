"""What the large libraries write is read by them again, in environments that have them all.

They are made by what makes the environments of `plan --verify`, and kept below `.nox`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from sageturner_magic.packages.environment import make_environment
from sageturner_magic.packages.pip_arguments import parse_pip_arguments
from sageturner_magic.packages.requirements import Requirements, Target
from sageturner_magic.packages.resolution import resolve
from tests.parts.base_image import interpreter
from tests.parts.recorder import Recorder
from tests.parts.torch import cpu_torch

REPOSITORY = Path(__file__).parents[3]
# Keras needs something to compute with; of what the package index has, JAX is the smallest.
LIBRARIES = (
    *("catboost", "jax", "joblib", "keras", "lightgbm", "numpy", "onnx", "onnxruntime", "pandas"),
    *("pyarrow", "pytest", "safetensors", "scikit-learn", "skops", "spacy", "xgboost-cpu"),
)
TORCH_LIBRARIES = (
    *("joblib", "keras", "numpy", "pytest", "safetensors", "sentence-transformers"),
    "transformers",
)
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


def resolved(python_version: str, *wanted: str) -> Requirements:
    return resolve(parse_pip_arguments(wanted, REPOSITORY), Target(python_version), Recorder())


def not_importable(
    requirements: Requirements, python: Path, environment: Mapping[str, str]
) -> set[str]:
    """Runs the libraries' tests with these packages; the libraries that they did not find."""
    made = make_environment(requirements, python, Recorder(), REPOSITORY / ".nox" / "libraries")
    tests = [f"tests/unit/capture/test_{name}.py" for name in ("writers", "generated_libraries")]
    # What conftest.py imports is none of these libraries.
    options = ["-p", "no:cacheprovider", "-p", "tests.unit.capture.generated_module"]
    done = subprocess.run(
        [made.python, "-m", "pytest", "-q", "-rs", *options, "--noconftest", *tests],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return set(re.findall(r"could not import '(\w+)", done.stdout))


def test_every_librarys_objects_are_written_and_read_again() -> None:
    wanted = resolved(HERE, *LIBRARIES)
    missing = not_importable(wanted, Path(sys.executable), {"KERAS_BACKEND": "jax"})
    assert missing == {"sentence_transformers", "torch", "transformers"}


@pytest.mark.torch
def test_objects_of_torch_and_of_what_builds_on_it_are_written_and_read_again() -> None:
    found = cpu_torch()
    assert found
    wanted = resolved(found.python, found.requirement, *TORCH_LIBRARIES)
    # Nothing is fetched yet: another build would be gigabytes.
    (torch,) = (each for each in wanted.packages if each.name == "torch")
    assert torch.version.endswith("+cpu")
    missing = not_importable(wanted, interpreter(found.python), {"KERAS_BACKEND": "torch"})
    assert not missing & {
        *("torch", "transformers", "keras", "safetensors"),
        "sentence_transformers",
    }
