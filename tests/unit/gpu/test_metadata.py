"""What a wheel needs is read from its own metadata."""

from __future__ import annotations

import pytest

from sageturner_magic.gpu import facts
from sageturner_magic.gpu.frameworks import Resolution, gpu_options
from sageturner_magic.gpu.metadata import (
    cuda_of_variant,
    cuda_required,
    cuda_resolved,
    minor_version,
    requirements,
    variant,
)
from sageturner_magic.gpu.values import Cuda, ResolvedPackage
from tests.unit.gpu.wheels import FACTS, versions, wheel

CUDA: dict[str, dict[str, Cuda]] = {
    "torch": {
        "2.0.1": (11, 7),
        "2.1.2": (12, 1),
        "2.2.2": (12, 1),
        "2.3.1": (12, 1),
        "2.4.1": (12, 1),
        "2.5.1": (12, 4),
        "2.6.0": (12, 4),
        "2.7.1": (12, 6),
        "2.8.0": (12, 8),
        "2.9.1": (12, 8),
        "2.10.0": (12, 8),
        "2.11.0": (13, 0),
        "2.12.1": (13, 0),
        "2.13.0": (13, 0),
        "2.14.1": (13, 0),
        "2.15.0": (13, 2),
    },
    "tensorflow": {
        "2.14.1": (11, 8),
        "2.15.1": (12, 2),
        "2.16.2": (12, 3),
        "2.17.1": (12, 3),
        "2.18.1": (12, 5),
        "2.19.1": (12, 5),
        "2.20.0": (12, 5),
        "2.21.0": (12, 5),
    },
    "jax": {
        "0.4.30": (12, 0),
        "0.5.3": (12, 0),
        "0.6.2": (12, 0),
        "0.7.2": (12, 0),
        "0.8.3": (12, 0),
        "0.10.2": (12, 0),
        "0.12.0.1": (12, 0),
    },
    "onnxruntime-gpu": {
        "1.21.1": (12, 0),
        "1.22.0": (12, 0),
        "1.24.4": (12, 0),
        "1.25.1": (12, 0),
        "1.26.0": (12, 0),
        "1.27.0": (13, 0),
        "1.30.0": (13, 0),
        "1.31.1": (13, 0),
    },
    "cupy-cuda12x": {"13.6.0": (12, 0), "14.2.0": (12, 0)},
    "cupy-cuda13x": {"14.2.0": (13, 0)},
}
"""CUDA of real wheels, read by a person from the same metadata."""

EXTRAS = {"tensorflow": ("and-cuda",), "jax": ("cuda12",), "onnxruntime-gpu": ("cuda",)}

WHEELS = [(name, version) for name, known in CUDA.items() for version in known]


def test_the_facts_hold_at_least_thirty_framework_versions():
    assert len(WHEELS) >= 30
    assert len(FACTS) >= len(WHEELS)


@pytest.mark.parametrize(("name", "version"), WHEELS)
def test_a_real_wheel_tells_its_cuda(name: str, version: str):
    package = wheel(name, version, extras=EXTRAS.get(name, ()))
    (first, *_) = gpu_options(Resolution.of([package], "amd64", "3.11"))[name]
    assert first.need.cuda == CUDA[name][version]


@pytest.mark.parametrize("version", versions("torch"))
def test_the_table_of_torch_agrees_with_the_wheels(version: str):
    assert facts.TORCH[minor_version(version)].cuda == CUDA["torch"][version]


@pytest.mark.parametrize("version", CUDA["tensorflow"])
def test_tensorflow_without_metadata_is_known_from_the_table(version: str):
    (option,) = gpu_options(
        Resolution.of([ResolvedPackage("tensorflow", version)], "amd64", "3.11")
    )["tensorflow"]
    assert option.need.cuda == CUDA["tensorflow"][version]


@pytest.mark.parametrize("version", CUDA["onnxruntime-gpu"])
def test_onnxruntime_without_metadata_is_known_from_the_table(version: str):
    (option,) = gpu_options(
        Resolution.of([ResolvedPackage("onnxruntime-gpu", version)], "amd64", "3.11")
    )["onnxruntime-gpu"]
    assert option.need.cuda is not None
    assert option.need.cuda[0] == CUDA["onnxruntime-gpu"][version][0]


@pytest.mark.parametrize(("version", "cuda"), [("2.10.0", None), ("2.11.0", (13, 0))])
def test_torch_on_arm64_is_a_cuda_build_from_2_11_on(version: str, cuda: Cuda | None):
    (option,) = gpu_options(Resolution.of([wheel("torch", version)], "arm64", "3.11"))["torch"]
    assert option.need.cuda == cuda


def test_vllm_is_built_for_the_torch_that_it_pins():
    pins = {
        version: next(line for line in wheel("vllm", version).requires if line[:7] == "torch==")
        for version in versions("vllm")
    }
    assert pins == {
        "0.10.2": "torch==2.8.0",
        "0.21.0": "torch==2.11.0",
        "0.33.0": "torch==2.14.0",
    }


@pytest.mark.parametrize(
    ("lines", "cuda"),
    [
        (["nvidia-cuda-runtime-cu12==12.4.127"], (12, 4)),
        (["nvidia_cuda_runtime_cu11 (==11.7.99)"], (11, 7)),
        (["nvidia-cuda-runtime-cu12"], (12, 0)),
        (["nvidia-cuda-runtime<14,>=13.0.48"], (13, 0)),
        (["cuda-toolkit[cudart]==12.*"], (12, 0)),
        (["jax-cuda12-plugin", "nvidia-cuda-runtime-cu12>=12.1.105"], (12, 1)),
        (["jax-cuda13-plugin==0.8.0"], (13, 0)),
        (["nvidia-cuda-runtime-cu12==12.1.105; platform_machine == 'aarch64'"], None),
        (["nvidia-cuda-runtime-cu12==12.1.105; extra == 'cuda'"], None),
        (["nvidia-cudnn-cu12==9.1.0", "numpy"], None),
        (["this is not a requirement"], None),
        ([], None),
    ],
)
def test_requirements_tell_the_cuda(lines: list[str], cuda: Cuda | None):
    evidence = cuda_required(requirements(lines, (), "amd64", "3.12"))
    assert (evidence.cuda if evidence else None) == cuda


def test_an_extra_counts_only_when_it_is_asked_for():
    lines = ['nvidia-cuda-runtime-cu12==12.5.82; extra == "and-cuda"']
    asked = cuda_required(requirements(lines, ("and-cuda",), "amd64", "3.12"))
    assert asked is not None and asked.cuda == (12, 5)
    assert cuda_required(requirements(lines, ("other",), "amd64", "3.12")) is None


def test_a_resolution_tells_the_cuda_by_its_runtime():
    found = cuda_resolved([("torch", "2.9.1"), ("nvidia-cuda-runtime-cu12", "12.8.90")])
    assert found is not None and found.cuda == (12, 8)
    assert cuda_resolved([("numpy", "2.0.0")]) is None


@pytest.mark.parametrize(
    ("version", "index", "expected"),
    [
        ("2.7.1+cu118", "", "cu118"),
        ("2.7.1+cpu", "https://download.pytorch.org/whl/cu118", "cpu"),
        ("2.7.1", "https://download.pytorch.org/whl/cu126/", "cu126"),
        ("2.7.1", "https://download.pytorch.org/whl/cpu", "cpu"),
        ("2.7.1", "https://example.org/simple", ""),
        ("2.7.1", "", ""),
    ],
)
def test_a_local_version_or_an_index_tells_the_variant(version: str, index: str, expected: str):
    assert variant(version, index) == expected


def test_a_variant_tells_its_cuda():
    assert cuda_of_variant("cu118") == (11, 8)
    assert cuda_of_variant("cu130") == (13, 0)
    assert cuda_of_variant("cpu") is None
