"""What no decision ever does, whatever is asked."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from sageturner_magic.aws.endpoints.limits import inference_ami_versions, instance_types
from sageturner_magic.gpu import ComputeTarget, Decision, ResolvedPackage, catalogue, facts, fit
from sageturner_magic.gpu.metadata import cuda_of_variant, minor_version
from tests.unit.gpu.wheels import versions, wheel

FRAMEWORKS = ("torch", "tensorflow", "jax", "onnxruntime-gpu", "cupy-cuda11x", "cupy-cuda12x")
GRAVITON = [name for name in catalogue.families() if name[1:3] in ("6g", "7g", "8g")]

frameworks = st.sampled_from(FRAMEWORKS).flatmap(
    lambda name: st.sampled_from(versions(name)).map(lambda version: wheel(name, version))
)
local_torch = st.builds(
    lambda minor, name: ResolvedPackage(
        "torch", f"{minor[0]}.{minor[1]}.0+{name}", entry=f"torch=={minor[0]}.{minor[1]}.0+{name}"
    ),
    st.sampled_from(sorted(facts.TORCH)),
    st.sampled_from(["cpu", "cu117", "cu118", "cu121", "cu124", "cu126", "cu128", "cu130"]),
)
unread_torch = st.builds(
    lambda major, minor: ResolvedPackage("torch", f"{major}.{minor}.0"),
    st.integers(1, 4),
    st.integers(0),
)
unknown = st.builds(
    lambda major, minor: ResolvedPackage("new", "1.0", (f"cuda-toolkit=={major}.{minor}.0",)),
    st.integers(10, 16),
    st.integers(0, 9),
)
companions = st.sampled_from(["torchvision", "vllm", "flash-attn", "xformers", "numpy"]).map(
    lambda name: ResolvedPackage(name, "1.0")
)
packages = st.lists(
    st.one_of(frameworks, local_torch, unread_torch, unknown, companions),
    max_size=4,
    unique_by=lambda package: package.name,
)
amis = st.sampled_from(["", "", *inference_ami_versions(), "not-yet-known"])
instances = st.sampled_from(instance_types())


def floor(cuda_major: int) -> int:
    return int(facts.FLOORS[min(cuda_major, max(facts.FLOORS))].split(".")[0])


@settings(deadline=None)
@given(packages, instances, amis)
def test_no_decision_has_a_driver_below_the_floor_of_a_cuda(
    packages: list[ResolvedPackage], instance: str, ami: str
):
    decision = fit(
        packages, ComputeTarget("server", instance, ami, install_cuda=True), "3.12"
    ).decision
    if decision is None or decision.driver is None:
        return
    for need in decision.needs:
        assert need.cuda is None or need.cuda[0] < 11 or decision.driver >= floor(need.cuda[0])


@settings(deadline=None)
@given(packages, instances, amis)
def test_no_decision_has_a_torch_without_code_for_the_gpu(
    packages: list[ResolvedPackage], instance: str, ami: str
):
    decision = fit(
        packages, ComputeTarget("server", instance, ami, install_cuda=True), "3.12"
    ).decision
    family = facts.FAMILIES.get(instance.split(".")[1])
    if decision is None or family is None or family.capability is None:
        return
    major, minor = family.capability
    for need in decision.needs:
        if need.cuda is None:
            continue
        assert family.capability >= facts.LEAST_CAPABILITY.get(need.cuda[0], (0, 0))
        if need.framework.startswith("torch ") and need.cuda in facts.TORCH_CAPABILITIES:
            covered = facts.TORCH_CAPABILITIES[need.cuda]
            assert any(x == major and y <= minor for x, y in covered)


@settings(deadline=None)
@given(packages, amis, st.sampled_from(GRAVITON), st.booleans())
def test_graviton_is_never_given_x86_nor_cuda(
    packages: list[ResolvedPackage], ami: str, family: str, install_cuda: bool
):
    target = ComputeTarget("server", f"ml.{family}.xlarge", ami, install_cuda)
    decision = fit(packages, target, "3.12").decision
    assert decision is not None
    assert (decision.architecture, decision.gpu, decision.ami) == ("arm64", "", "")
    assert all(
        cuda_of_variant(replacement.variant) is None for replacement in decision.replacements
    )


@settings(deadline=None)
@given(packages, st.sampled_from(["local", "serverless"]))
def test_nothing_but_a_gpu_instance_gets_an_ami_or_a_cuda_base(
    packages: list[ResolvedPackage], endpoint_type: str
):
    target = ComputeTarget("local" if endpoint_type == "local" else "serverless")
    decision = fit(packages, target, "3.12").decision
    assert decision is not None
    assert (decision.ami, decision.base.kind, decision.architecture) == ("", "slim", "amd64")


@settings(deadline=None)
@given(packages, instances, amis, st.booleans())
def test_there_is_a_decision_or_an_error_and_never_both(
    packages: list[ResolvedPackage], instance: str, ami: str, install_cuda: bool
):
    answer = fit(packages, ComputeTarget("server", instance, ami, install_cuda), "3.12")
    assert (answer.decision is None) == any(f.severity == "error" for f in answer.findings)


@settings(deadline=None)
@given(packages, instances)
def test_a_base_image_with_cuda_has_the_major_version_of_a_need(
    packages: list[ResolvedPackage], instance: str
):
    decision = fit(packages, ComputeTarget("server", instance, install_cuda=True), "3.12").decision
    if decision is None or decision.base.cuda is None:
        return
    majors = {need.cuda[0] for need in decision.needs if need.cuda}
    known = {cuda[0] for cuda in facts.CUDA_IMAGES}
    assert decision.base.cuda[0] in majors or not majors & known


@settings(deadline=None)
@given(packages, instances, amis)
def test_a_replacement_of_torch_exists_on_the_index_it_names(
    packages: list[ResolvedPackage], instance: str, ami: str
):
    decision = fit(
        packages, ComputeTarget("server", instance, ami, install_cuda=True), "3.12"
    ).decision
    for replacement in decision.replacements if decision else ():
        cuda = cuda_of_variant(replacement.variant)
        if replacement.package == "torch" and cuda:
            version = replacement.requirement.partition("==")[2]
            assert cuda in facts.TORCH[minor_version(version)].indexes
            assert replacement.index == facts.TORCH_INDEX + replacement.variant


def resolved_again(packages: list[ResolvedPackage], decision: Decision) -> list[ResolvedPackage]:
    """The resolution with the decision's replacements made."""
    again = {package.name: package for package in packages}
    for replacement in decision.replacements:
        package = again.pop(replacement.package)
        if not replacement.requirement:
            continue
        wanted = Requirement(replacement.requirement)
        version = package.version.partition("+")[0]
        local = f"+{replacement.variant}" if replacement.index else ""
        again[wanted.name] = replace(
            package,
            name=wanted.name,
            version=version + local,
            extras=tuple(wanted.extras),
            index=replacement.index,
        )
    return list(again.values())


@settings(deadline=None)
@given(packages, instances, amis, st.booleans())
def test_resolving_what_was_decided_leads_to_the_same_decision(
    packages: list[ResolvedPackage], instance: str, ami: str, install_cuda: bool
):
    target = ComputeTarget("server", instance, ami, install_cuda)
    first = fit(packages, target, "3.12").decision
    if first is None:
        return
    second = fit(resolved_again(packages, first), target, "3.12").decision
    assert second is not None
    assert second.replacements == ()
    assert (second.ami, second.base, second.architecture) == (
        first.ami,
        first.base,
        first.architecture,
    )
    cuda = {need.framework: need.cuda for need in first.needs}
    assert {need.framework: need.cuda for need in second.needs} == cuda
