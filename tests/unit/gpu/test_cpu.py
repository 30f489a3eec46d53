"""Without a GPU: CPU builds, chosen without being asked."""

from __future__ import annotations

import pytest

from sageturner_magic.gpu import ComputeTarget, Decision, Fit, ResolvedPackage, explain, fit
from tests.unit.gpu.wheels import wheel

SERVERLESS = ComputeTarget("serverless")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def decided(answer: Fit) -> Decision:
    assert answer.decision is not None, answer.findings
    return answer.decision


def text(answer: Fit) -> str:
    return "\n".join(f"{f.what}: {f.why}. Do: {f.do}" for f in answer.findings)


@pytest.mark.parametrize(
    "target",
    [
        SERVERLESS,
        ComputeTarget("local"),
        ComputeTarget("local", install_cuda=True),
        ComputeTarget("server", "ml.m5.xlarge"),
        ComputeTarget("server", "ml.m5.xlarge", install_cuda=True),
        ComputeTarget("server", "ml.g5.xlarge", install_cuda=False),
    ],
)
def test_torch_comes_from_the_cpu_index(target: ComputeTarget):
    packages = [wheel("torch", "2.11.0"), wheel("torchvision", "0.26.0")]
    decision = decided(fit(packages, target, "3.11"))
    assert [(r.requirement, r.index, r.variant) for r in decision.replacements] == [
        ("torch==2.11.0", CPU_INDEX, "cpu"),
        ("torchvision==0.26.0", CPU_INDEX, "cpu"),
    ]
    assert (decision.gpu, decision.ami, decision.base.kind) == ("", "", "slim")


def test_the_gigabytes_that_are_saved_are_shown():
    decision = decided(fit([wheel("torch", "2.11.0")], SERVERLESS, "3.11"))
    assert decision.saved_bytes == 2_178_434_688
    assert explain(decision) == (
        "torch 2.11.0 is taken as its CPU build, 2.2 GB less to build and pull, because a "
        "serverless endpoint has no GPU."
    )


def test_a_cpu_build_is_left_as_it_is():
    package = ResolvedPackage("torch", "2.11.0+cpu", index=CPU_INDEX)
    assert decided(fit([package], SERVERLESS, "3.11")) == Decision("amd64")


def test_a_cuda_build_that_the_entry_pins_is_kept_with_a_warning():
    package = ResolvedPackage("torch", "2.7.1+cu118", entry="torch==2.7.1+cu118")
    answer = fit([package], SERVERLESS, "3.11")
    assert decided(answer).replacements == ()
    (warning,) = answer.findings
    assert warning.severity == "warning"
    assert "torch 2.7.1 stays a CUDA build (2.2 GB)" in warning.what
    assert warning.do.startswith("write `torch==2.7.1` without an index and a local version")


def test_tensorflow_becomes_tensorflow_cpu():
    decision = decided(fit([wheel("tensorflow", "2.16.2")], SERVERLESS, "3.11"))
    assert [r.requirement for r in decision.replacements] == ["tensorflow-cpu==2.16.2"]


def test_tensorflow_that_another_package_requires_keeps_its_name():
    packages = [
        wheel("tensorflow", "2.16.2", extras=("and-cuda",)),
        ResolvedPackage("tf-keras", "2.16.0", ("tensorflow<2.17,>=2.16",)),
    ]
    decision = decided(fit(packages, SERVERLESS, "3.11"))
    assert [r.requirement for r in decision.replacements] == ["tensorflow==2.16.2"]
    assert decided(fit([wheel("tensorflow", "2.16.2"), packages[1]], SERVERLESS, "3.11")) == (
        Decision("amd64")
    )


def test_jax_loses_its_cuda_extra_and_the_plugins_that_were_listed():
    packages = [
        wheel("jax", "0.10.2", extras=("cuda12",)),
        wheel("jax-cuda12-plugin", "0.10.2", entry="jax-cuda12-plugin==0.10.2"),
        ResolvedPackage("jax-cuda12-pjrt", "0.10.2"),
    ]
    decision = decided(fit(packages, SERVERLESS, "3.11"))
    assert [(r.package, r.requirement) for r in decision.replacements] == [
        ("jax", "jax==0.10.2"),
        ("jax-cuda12-plugin", ""),
    ]
    assert decision.saved_bytes == 3_204_808_206


def test_plain_jax_is_left_as_it_is():
    assert decided(fit([wheel("jax", "0.10.2")], SERVERLESS, "3.11")) == Decision("amd64")


def test_onnxruntime_gpu_becomes_onnxruntime_of_the_same_minor_version():
    decision = decided(fit([wheel("onnxruntime-gpu", "1.20.2")], SERVERLESS, "3.11"))
    assert [r.requirement for r in decision.replacements] == ["onnxruntime==1.20.*"]


def test_onnxruntime_gpu_that_another_package_requires_stays_with_a_warning():
    packages = [wheel("onnxruntime-gpu", "1.20.2"), ResolvedPackage("x", "1", ("onnxruntime-gpu",))]
    answer = fit(packages, SERVERLESS, "3.11")
    assert decided(answer).replacements == ()
    assert "no CPU build can take its place" in text(answer)


@pytest.mark.parametrize("name", ["vllm", "flash-attn", "xformers", "cupy-cuda12x"])
def test_a_package_that_computes_on_gpus_only_is_a_warning(name: str):
    answer = fit([ResolvedPackage(name, "1.0")], SERVERLESS, "3.11")
    assert decided(answer).replacements == ()
    assert f"{name} 1.0 computes on NVIDIA GPUs only" in text(answer)


def test_install_cuda_is_refused_for_serverless():
    answer = fit([], ComputeTarget("serverless", install_cuda=True), "3.11")
    assert answer.decision is None
    assert "install_cuda: true does not go with a serverless endpoint" in text(answer)


@pytest.mark.parametrize(
    ("target", "severity", "what"),
    [
        (ComputeTarget("server", "ml.g5.xlarge"), "warning", "Nothing will use the GPU"),
        (
            ComputeTarget("server", "ml.m5.xlarge", install_cuda=True),
            "warning",
            "install_cuda: true changes nothing on ml.m5.xlarge",
        ),
        (
            ComputeTarget("local", install_cuda=True),
            "note",
            "install_cuda: true changes nothing on a local endpoint",
        ),
        (
            ComputeTarget("server", "ml.m5.xlarge", "al2-ami-sagemaker-inference-gpu-2"),
            "warning",
            "al2-ami-sagemaker-inference-gpu-2 is left out",
        ),
    ],
)
def test_a_setting_that_changes_nothing_is_pointed_out(
    target: ComputeTarget, severity: str, what: str
):
    (finding,) = fit([wheel("torch", "2.11.0")], target, "3.11").findings
    assert finding.severity == severity
    assert what in finding.what


@pytest.mark.parametrize("family", ["c6g", "m6gd", "c6gn", "r7gd", "c8g", "m8g"])
def test_graviton_gets_arm64_images_and_wheels(family: str):
    decision = decided(
        fit([wheel("torch", "2.8.0")], ComputeTarget("server", f"ml.{family}.large"), "3.11")
    )
    assert decision.architecture == "arm64"
    assert decision.replacements == ()
    assert "arm64 processors, so image and wheels are for arm64" in explain(decision)


def test_graviton_leaves_out_the_cuda_that_torch_brings_from_2_11_on():
    target = ComputeTarget("server", "ml.c7g.large")
    decision = decided(fit([wheel("torch", "2.11.0")], target, "3.11"))
    assert [r.index for r in decision.replacements] == [CPU_INDEX]


@pytest.mark.parametrize(("version", "replaced"), [("2.10.0", False), ("2.11.0", True)])
def test_graviton_does_so_without_metadata_too(version: str, replaced: bool):
    target = ComputeTarget("server", "ml.c7g.large")
    decision = decided(fit([ResolvedPackage("torch", version)], target, "3.11"))
    assert bool(decision.replacements) == replaced


def test_graviton_keeps_tensorflow_which_has_no_cpu_package_there():
    target = ComputeTarget("server", "ml.c7g.large")
    decision = decided(fit([wheel("tensorflow", "2.16.2")], target, "3.11"))
    assert decision.replacements == ()
