"""On a GPU: wheel, driver, instance and base image are chosen together."""

from __future__ import annotations

from typing import Any

import pytest

from sageturner_magic.gpu import ComputeTarget, Fit, ResolvedPackage, explain, facts, fit
from tests.unit.gpu.wheels import wheel

GPU_2 = "al2-ami-sagemaker-inference-gpu-2"
GPU_4_1 = "al2023-ami-sagemaker-inference-gpu-4-1"
NEURON = "al2-ami-sagemaker-inference-neuron-2"
CU118 = "https://download.pytorch.org/whl/cu118"


def on(instance: str, *packages: ResolvedPackage, **more: Any) -> Fit:
    return fit(packages, ComputeTarget("server", instance, install_cuda=True, **more), "3.11")


def decided(answer: Fit) -> Any:
    assert answer.decision is not None, answer.findings
    return answer.decision


def text(answer: Fit) -> str:
    return "\n".join(f"{f.what}: {f.why}. Do: {f.do}" for f in answer.findings)


def test_the_ami_is_set_when_the_default_driver_is_too_old():
    answer = on("ml.g5.xlarge", wheel("torch", "2.11.0"))
    decision = decided(answer)
    assert (decision.ami, decision.driver, decision.gpu) == (GPU_4_1, 580, "A10G")
    assert decision.replacements == ()
    assert answer.findings == ()
    assert explain(decision).startswith(
        "torch 2.11 needs CUDA 13: ml.g5.xlarge's default driver 470 cannot run it, so the "
        "endpoint uses al2023-ami-sagemaker-inference-gpu-4-1."
    )


def test_the_default_ami_stays_when_its_driver_does():
    decision = decided(on("ml.g5.xlarge", wheel("torch", "2.0.1")))
    assert (decision.ami, decision.driver) == ("", 470)
    assert "which ml.g5.xlarge's default driver 470 runs" in explain(decision)


def test_an_undocumented_driver_is_replaced_by_an_ami_known_good():
    decision = decided(on("ml.g6e.xlarge", wheel("torch", "2.0.1")))
    assert decision.ami == GPU_4_1
    assert "AWS does not document ml.g6e.xlarge's default driver" in explain(decision)


def test_another_build_is_taken_when_the_resolved_one_has_no_code_for_the_gpu():
    packages = [
        wheel("torch", "2.11.0"),
        wheel("torchvision", "0.26.0"),
        wheel("torchaudio", "2.11.0"),
    ]
    decision = decided(on("ml.p3.2xlarge", *packages))
    index = "https://download.pytorch.org/whl/cu126"
    assert [(r.requirement, r.index) for r in decision.replacements] == [
        ("torch==2.11.0", index),
        ("torchvision==0.26.0", index),
        ("torchaudio==2.11.0", index),
    ]
    assert "torch 2.11 is taken as cu126 (CUDA 12.6), because its CUDA 13.0 build has no code" in (
        explain(decision)
    )


def test_a_torchaudio_older_than_torch_stays_as_it_is():
    packages = [wheel("torch", "2.14.1"), wheel("torchaudio", "2.11.0")]
    decision = decided(on("ml.p3.2xlarge", *packages))
    assert [r.requirement for r in decision.replacements] == ["torch==2.14.1"]


def test_a_gpu_without_any_build_is_an_error_with_what_would_run():
    answer = on("ml.p3.2xlarge", wheel("torch", "2.15.0"))
    assert answer.decision is None
    (error,) = answer.findings
    assert error.severity == "error"
    assert error.why == ("its CUDA 13.2 build has no code for the V100 (compute capability 7.0)")
    assert error.do.startswith("use torch 2.14, or choose an instance of ml.g4dn, ml.g5")


def test_blackwell_gets_a_build_that_every_driver_for_it_runs():
    decision = decided(on("ml.p6-b200.48xlarge", wheel("torch", "2.11.0")))
    assert [need.variant for need in decision.needs] == ["cu129"]
    assert decision.ami == ""


def test_what_is_not_known_is_a_warning_and_no_refusal():
    answer = on("ml.p6-b200.48xlarge", wheel("torch", "2.15.0"))
    assert decided(answer).needs[0].cuda == (13, 2)
    assert [finding.severity for finding in answer.findings] == ["warning"]
    assert "It is not known whether torch 2.15 runs on ml.p6-b200.48xlarge" in text(answer)


def test_an_arm64_gpu_instance_gets_arm64_images():
    decision = decided(on("ml.p6e-gb200.36xlarge", wheel("torch", "2.11.0")))
    assert decision.architecture == "arm64"


# What the user set


def test_a_configured_ami_is_kept_and_the_build_follows_it():
    decision = decided(on("ml.g5.xlarge", wheel("torch", "2.11.0"), ami=GPU_2))
    assert (decision.ami, decision.driver) == (GPU_2, 535)
    assert [need.variant for need in decision.needs] == ["cu129"]


def test_a_configured_ami_that_no_build_suits_is_an_error_that_names_a_better_one():
    answer = on("ml.g5.xlarge", wheel("torch", "2.15.0"), ami=GPU_2)
    (error,) = answer.findings
    assert answer.decision is None
    assert error.where == "compute.server.inference_ami_version"
    assert f"set compute.server.inference_ami_version to {GPU_4_1}" in error.do


def test_an_ami_without_an_nvidia_driver_is_refused():
    answer = on("ml.g5.xlarge", wheel("torch", "2.11.0"), ami=NEURON)
    assert answer.decision is None
    assert [str(finding.severity) for finding in answer.findings] == ["error"]
    assert f"{NEURON} has no NVIDIA driver" in text(answer)


def test_an_unknown_ami_is_kept_with_a_warning():
    answer = on("ml.g5.xlarge", wheel("torch", "2.0.1"), ami="al2030-gpu-9")
    assert decided(answer).ami == "al2030-gpu-9"
    assert "al2030-gpu-9 is not known" in text(answer)


def test_an_ami_that_is_not_known_to_start_on_the_family_is_a_warning():
    answer = on("ml.g6e.xlarge", wheel("torch", "2.9.1"), ami=GPU_2)
    assert decided(answer).ami == GPU_2
    assert "is not known to start on g6e instances" in text(answer)


def test_a_build_that_the_entry_pins_is_kept():
    package = ResolvedPackage("torch", "2.7.1+cu118", index=CU118, entry="torch==2.7.1+cu118")
    decision = decided(on("ml.g4dn.xlarge", package))
    assert (decision.ami, decision.replacements) == ("", ())
    assert decision.needs[0].cuda == (11, 8)


def test_a_pinned_build_that_cannot_run_is_an_error_that_says_how_to_unpin_it():
    entry = f"--index-url {CU118} torch"
    package = ResolvedPackage("torch", "2.7.1+cu118", index=CU118, entry=entry)
    answer = on("ml.p6-b200.48xlarge", package)
    assert answer.decision is None
    assert "write `torch==2.7.1` without an index and a local version" in answer.findings[0].do


def test_the_clip_example_of_the_original_becomes_an_endpoint_that_starts():
    package = wheel("torch", "2.15.0", entry=f"--extra-index-url {CU118} torch")
    answer = on("ml.g4dn.xlarge", package, ResolvedPackage("transformers", "5.0.0"))
    assert decided(answer).ami == GPU_4_1
    assert "torch 2.15 needs CUDA 13: ml.g4dn.xlarge's default driver 470 cannot run it" in (
        explain(decided(answer))
    )
    (note,) = answer.findings
    assert note.severity == "note"
    assert "torch 2.15.0 does not come from the index" in note.what


def test_a_cpu_build_is_replaced_on_a_gpu_instance():
    package = ResolvedPackage("torch", "2.9.1+cpu", index="https://download.pytorch.org/whl/cpu")
    decision = decided(on("ml.g5.xlarge", package))
    assert decision.replacements[0].variant == "cu130"
    assert "because the resolved build uses no GPU" in explain(decision)


def test_a_cpu_build_that_the_entry_pins_is_kept_with_a_warning():
    answer = on("ml.g5.xlarge", ResolvedPackage("torch", "2.9.1+cpu", entry="torch==2.9.1+cpu"))
    assert decided(answer).replacements == ()
    assert "torch 2.9.1 will not use the GPU of ml.g5.xlarge" in text(answer)


# Other frameworks


def test_frameworks_agree_on_one_driver():
    decision = decided(
        on("ml.g5.xlarge", wheel("torch", "2.0.1"), wheel("onnxruntime-gpu", "1.31.1"))
    )
    assert decision.ami == GPU_4_1
    assert [need.cuda for need in decision.needs] == [(11, 7), (13, 0)]


def test_vllm_keeps_the_cuda_of_its_torch():
    answer = on("ml.g5.xlarge", wheel("torch", "2.14.1"), wheel("vllm", "0.33.0"), ami=GPU_2)
    assert answer.decision is None
    assert decided(on("ml.g5.xlarge", wheel("torch", "2.14.1"), ami=GPU_2)).replacements


@pytest.mark.parametrize(
    ("package", "requirement"),
    [
        (wheel("tensorflow", "2.16.2"), "tensorflow[and-cuda]==2.16.2"),
        (wheel("jax", "0.10.2"), "jax[cuda12]==0.10.2"),
        (wheel("onnxruntime-gpu", "1.22.0"), "onnxruntime-gpu[cuda,cudnn]==1.22.0"),
        (wheel("cupy-cuda12x", "14.2.0"), "cupy-cuda12x[ctk]==14.2.0"),
    ],
)
def test_a_framework_gets_the_extra_that_brings_its_cuda(
    package: ResolvedPackage, requirement: str
):
    decision = decided(on("ml.g5.xlarge", package))
    assert [replacement.requirement for replacement in decision.replacements] == [requirement]
    assert decision.base.kind == "slim"


def test_jax_falls_back_to_the_cuda_that_the_driver_runs():
    packages = [
        wheel("jax", "0.10.2", extras=("cuda13",)),
        ResolvedPackage("jax-cuda13-plugin", "0.10.2"),
    ]
    decision = decided(on("ml.g5.xlarge", *packages, ami=GPU_2))
    assert [replacement.requirement for replacement in decision.replacements] == [
        "jax[cuda12]==0.10.2"
    ]


def test_an_entry_that_names_jax_cuda_is_kept():
    entry = "jax[cuda13]"
    packages = [
        wheel("jax", "0.10.2", extras=("cuda13",), entry=entry),
        ResolvedPackage("jax-cuda13-plugin", "0.10.2"),
    ]
    assert on("ml.g5.xlarge", *packages, ami=GPU_2).decision is None
    assert decided(on("ml.g5.xlarge", *packages)).ami == GPU_4_1


def test_a_framework_that_loads_the_systems_cuda_gets_a_runtime_base():
    decision = decided(on("ml.g5.xlarge", wheel("onnxruntime-gpu", "1.18.1")))
    assert (decision.base.kind, decision.base.cuda) == ("cuda-runtime", (11, 8))
    assert decision.base.reference.startswith("nvcr.io/nvidia/cuda:11.8.0-cudnn8-runtime")


def test_two_frameworks_that_load_different_cudas_from_the_system_are_refused():
    answer = on("ml.g5.xlarge", wheel("onnxruntime-gpu", "1.20.2"), wheel("cupy-cuda11x", "13.6.0"))
    assert answer.decision is None
    assert (
        "onnxruntime-gpu 1.20.2 (CUDA 12) and cupy-cuda11x 13.6.0 (CUDA 11) cannot be in one image"
    ) in text(answer)


def test_what_has_to_be_compiled_gets_a_devel_base_of_torchs_cuda():
    decision = decided(
        on("ml.g5.xlarge", wheel("torch", "2.9.1"), ResolvedPackage("flash-attn", "2.8.3"))
    )
    assert (decision.base.kind, decision.base.cuda) == ("cuda-devel", (12, 8))
    assert "flash-attn 2.8.3 has to be compiled" in explain(decision)


def test_an_image_for_a_gpu_asks_for_gpu_and_driver():
    decision = decided(on("ml.g5.xlarge", wheel("torch", "2.9.1")))
    assert dict(decision.environment)["NVIDIA_VISIBLE_DEVICES"] == "all"


def test_an_unknown_package_with_cuda_is_a_warning_with_what_was_assumed():
    package = ResolvedPackage("cuml-cu12", "25.8.0", ("nvidia-cuda-runtime-cu12==12.9.79",))
    answer = on("ml.g5.xlarge", package)
    assert decided(answer).ami == GPU_4_1
    assert "cuml-cu12 25.8.0 is not known: it is assumed" in text(answer)


def test_an_unknown_version_of_torch_is_a_warning_with_what_was_assumed():
    package = ResolvedPackage("torch", "2.99.0", ("cuda-toolkit==13.4.0",))
    answer = on("ml.g5.xlarge", package)
    assert decided(answer).ami == GPU_4_1
    assert "torch 2.99.0 is not known: it is assumed" in text(answer)


@pytest.mark.parametrize(
    ("version", "cuda"), [("1.13.0", (11, 7)), ("2.9.0", (12, 8)), ("2.99.0", (13, 2))]
)
def test_torch_without_metadata_is_taken_for_the_nearest_known(version: str, cuda: Any):
    answer = on("ml.g5.xlarge", ResolvedPackage("torch", version))
    assert decided(answer).needs[0].cuda == cuda
    assert ("is not known" in text(answer)) == (version != "2.9.0")


def test_the_runtime_beside_a_torch_without_metadata_tells_its_cuda():
    runtime = ResolvedPackage("nvidia-cuda-runtime-cu12", "12.6.77")
    assert decided(on("ml.g5.xlarge", ResolvedPackage("torch", "2.9.0"), runtime)).needs[
        0
    ].cuda == (12, 6)


def test_a_new_torch_whose_metadata_names_no_cuda_is_a_warning():
    answer = on("ml.g5.xlarge", ResolvedPackage("torch", "2.99.0", ("filelock",)))
    assert decided(answer).needs[0].cuda is None
    assert "it is assumed that it is a CPU build" in text(answer)


def test_an_unknown_cuda_major_is_a_warning():
    answer = on("ml.g5.xlarge", ResolvedPackage("torch", "3.0.0", ("cuda-toolkit==14.0.0",)))
    assert decided(answer).ami == GPU_4_1
    assert "the driver that CUDA 14 needs is not known" in text(answer)


# Instances


@pytest.mark.parametrize(
    ("instance", "accelerator"),
    [
        ("ml.inf2.xlarge", "AWS Inferentia2"),
        ("ml.trn1.2xlarge", "AWS Trainium"),
        ("ml.trn9.2xlarge", "an AWS Neuron device"),
        ("ml.dl1.24xlarge", "Intel Gaudi"),
    ],
)
@pytest.mark.parametrize("install_cuda", [True, False])
def test_other_accelerators_are_refused_by_name(
    instance: str, accelerator: str, install_cuda: bool
):
    target = ComputeTarget("server", instance, install_cuda=install_cuda)
    answer = fit([wheel("torch", "2.11.0")], target, "3.11")
    assert answer.decision is None
    assert f"{instance} has {accelerator}, not an NVIDIA GPU" in text(answer)


def test_an_unknown_gpu_family_is_a_warning_with_what_was_assumed():
    answer = on("ml.p9.48xlarge", wheel("torch", "2.11.0"))
    assert decided(answer).ami == ""
    assert (
        "The instance family p9 is not known: it is assumed that p9 instances have an NVIDIA"
        in (text(answer).replace(" (compute.server.instance_type)", ""))
    )


def test_a_gpu_that_nothing_uses_is_a_warning():
    answer = on("ml.g5.xlarge", ResolvedPackage("scikit-learn", "1.7.0"))
    assert decided(answer).ami == ""
    assert "Nothing that is installed uses the GPU of ml.g5.xlarge" in text(answer)


def test_a_model_larger_than_the_gpu_is_a_warning_with_larger_gpus():
    answer = on("ml.g6e.xlarge", wheel("torch", "2.11.0"), model_bytes=60 * 10**9)
    assert "take 61.0 GB, the L40S has 48 GB" in text(answer)
    assert "choose an instance of ml.p4de, ml.p5" in text(answer)
    assert "ml.p6e-gb200" not in text(answer)


def test_a_model_that_several_gpus_hold_together_may_be_spread():
    answer = on("ml.g6e.48xlarge", wheel("torch", "2.11.0"), model_bytes=60 * 10**9)
    assert "spread the model over the 8 GPUs in load()" in text(answer)


def test_a_model_that_fits_is_not_mentioned():
    assert on("ml.g5.xlarge", wheel("torch", "2.11.0"), model_bytes=10**9).findings == ()


def test_errors_come_before_warnings_and_notes():
    answer = on(
        "ml.p3.2xlarge",
        wheel("torch", "2.15.0", entry=f"--extra-index-url {CU118} torch"),
        model_bytes=60 * 10**9,
    )
    assert [finding.severity for finding in answer.findings] == ["error", "warning", "note"]


def test_every_finding_has_a_cause_and_a_remedy():
    for family in facts.FAMILIES:
        for version in ("2.0.1", "2.9.1", "2.15.0"):
            for ami in ("", *facts.AMIS, NEURON, "unknown"):
                answer = on(f"ml.{family}.48xlarge", wheel("torch", version), ami=ami)
                assert all(finding.why and finding.do for finding in answer.findings)
                assert answer.decision is None or answer.decision.reasons
