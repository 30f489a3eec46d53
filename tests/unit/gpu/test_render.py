"""What people are shown: the form's choices and the doctor's table."""

from __future__ import annotations

from sageturner_magic.aws.endpoints.limits import instance_types
from sageturner_magic.gpu import ComputeTarget, catalogue, doctor_table, instance_fits
from tests.unit.gpu.wheels import wheel

TARGET = ComputeTarget("server", install_cuda=True)


def test_the_form_hears_which_instances_fit_and_why_others_do_not():
    types = ("ml.g5.xlarge", "ml.p3.2xlarge", "ml.inf2.xlarge")
    found = instance_fits([wheel("torch", "2.15.0")], TARGET, "3.11", types)
    assert [(choice.instance_type, choice.fits) for choice in found] == [
        ("ml.g5.xlarge", True),
        ("ml.p3.2xlarge", False),
        ("ml.inf2.xlarge", False),
    ]
    assert found[0].why == ""
    assert found[1].why == (
        "torch 2.15 cannot run on ml.p3.2xlarge: its CUDA 13.2 build has no code for the V100 "
        "(compute capability 7.0)"
    )
    assert "AWS Inferentia2, not an NVIDIA GPU" in found[2].why


def test_the_form_hears_doubts_about_an_instance_that_may_fit():
    (choice,) = instance_fits([wheel("torch", "2.15.0")], TARGET, "3.11", ["ml.p6-b200.48xlarge"])
    assert choice.fits
    assert "It is not known whether torch 2.15 runs" in choice.why


def test_the_doctor_has_every_family_once():
    table = doctor_table([wheel("torch", "2.11.0")], "3.11", instance_types())
    named = [family for families, *_ in table[1:] for family in families.split()]
    assert sorted(named) == list(catalogue.families())


def test_the_doctor_says_what_each_family_needs():
    types = ["ml.g5.xlarge", "ml.g5.2xlarge", "ml.m5.large", "ml.c7g.large", "ml.inf2.xlarge"]
    table = doctor_table([wheel("torch", "2.11.0")], "3.11", types)
    ami = "al2023-ami-sagemaker-inference-gpu-4-1"
    assert table == (
        ("instances", "processor", "packages", "InferenceAmiVersion", "remark"),
        ("g5", "A10G 24 GB", "torch 2.11.0 CUDA 13.0", ami, ""),
        ("m5", "amd64", "torch CPU", "-", "2.2 GB of CUDA left out"),
        ("c7g", "arm64", "torch CPU", "-", "2.2 GB of CUDA left out"),
        ("inf2", "AWS Inferentia2", "-", "-", "not supported: not an NVIDIA GPU"),
    )


def test_the_doctor_says_why_nothing_runs():
    table = doctor_table([wheel("torch", "2.15.0")], "3.11", ["ml.p3.2xlarge"])
    assert table[1][:4] == ("p3", "V100 16 GB", "-", "-")
    assert table[1][4].endswith("has no code for the V100 (compute capability 7.0)")


def test_families_with_the_same_answer_share_a_line():
    table = doctor_table([], "3.11", ["ml.m5.large", "ml.c5.large"])
    assert table[1][0] == "c5 m5"
