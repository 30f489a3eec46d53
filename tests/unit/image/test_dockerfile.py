from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from sageturner_magic.image import dockerfile
from sageturner_magic.image.spec import BuildSpec, SystemCuda
from sageturner_magic.packages.requirements import Target
from tests.unit.image.specs import package, spec

GOLDEN = Path(__file__).parent / "golden"

private = replace(
    package("secret-model", "1.0", index="https://guarded.example.org/simple"), public=False
)

CASES = {
    "no-packages": spec(),
    "cpu": spec(package("numpy", "2.5.5"), package("scikit-learn", "1.9")),
    "system-packages": spec(
        package("numpy", "2.5.5"), system_packages=("tesseract-ocr", "libgomp1=12.2.0-14")
    ),
    "extra-index": spec(
        package("torch", "2.13.0+cpu", index="https://example.org/whl/cpu"),
        private,
        extra_indexes=("https://example.org/whl/cpu",),
    ),
    "arm64": spec(package("numpy", "2.5.5"), target=Target("3.11", "arm64")),
    "custom-base": spec(
        package("numpy", "2.5.5"),
        base_image="example.org/team/python:3.12@sha256:" + "a" * 64,
        environment={"NVIDIA_VISIBLE_DEVICES": "all", "PROMPT": 'say "$5" \\ twice'},
    ),
    "system-cuda": spec(
        package("onnxruntime-gpu", "1.20.2"),
        cuda=SystemCuda("example.org/cuda:12.6.3-cudnn-runtime-ubuntu22.04", "12.6", "run"),
    ),
    "compiled-with-cuda": spec(
        package("torch", "2.9.1"),
        package("flash-attn", "2.8.3", "flash_attn-2.8.3.tar.gz"),
        target=Target("3.12", "arm64"),
        cuda=SystemCuda("example.org/cuda:12.8.1-cudnn-devel-ubuntu22.04", "12.8", "compile"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_dockerfile_is_the_one_that_was_agreed_on(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dockerfile, "__version__", "1.2.3")
    golden = GOLDEN / f"{case}.Dockerfile"
    text = dockerfile.render_dockerfile(CASES[case])
    if os.environ.get("SAGETURNER_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text(), "SAGETURNER_UPDATE_GOLDEN=1 writes the golden files anew"


@pytest.mark.parametrize(
    "name", ["libgomp1; rm -rf /", "$(id)", "lib gomp", "LibGomp", "-o=x", "a\nRUN id", ""]
)
def test_what_is_no_system_package_cannot_reach_the_shell(name: str) -> None:
    with pytest.raises(ValueError, match="no name or value"):
        dockerfile.render_dockerfile(spec(system_packages=("curl", name)))


@pytest.mark.parametrize("name", ["python:3.12\nRUN id", "--platform=x", "a b"])
def test_what_is_no_image_name_cannot_reach_the_dockerfile(name: str) -> None:
    with pytest.raises(ValueError, match="no name or value"):
        dockerfile.render_dockerfile(spec(base_image=name))


def test_a_value_of_several_lines_cannot_reach_the_dockerfile() -> None:
    with pytest.raises(ValueError, match="no name or value"):
        dockerfile.render_dockerfile(spec(environment={"X": "a\nRUN id"}))


def layers_before_the_code(given: BuildSpec) -> str:
    return dockerfile.render_dockerfile(given).partition("COPY program")[0]


def test_a_change_of_code_leaves_everything_before_it() -> None:
    before = spec(package("numpy", "2.5.5"))
    after = replace(before, module=replace(before.module, files=before.module.files[:1]))
    assert layers_before_the_code(before) == layers_before_the_code(after)
