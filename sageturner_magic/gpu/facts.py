"""Facts that no wheel's metadata has: drivers, GPUs, wheel indexes. Dated and sourced.

`python -m sageturner_magic.gpu.staleness` compares these tables with botocore's service
model and with the package index.

Sources:
    [drivers] SageMaker developer guide, "Best practices to minimize interruptions during GPU
        driver upgrades" (inference-gpu-drivers).
    [ami] botocore's service model, ProductionVariant.InferenceAmiVersion; the instance families
        of al2-ami-sagemaker-inference-gpu-2 are from the same text in botocore 1.36.20.
    [compat] NVIDIA, "CUDA Compatibility", minor version compatibility.
    [toolkit] NVIDIA, "CUDA Toolkit Release Notes": driver and GPUs of each release.
    [gpus] NVIDIA, "CUDA GPUs" (compute capability); EC2 instance types (memory, count).
    [torch] The indexes below download.pytorch.org/whl and pytorch's release matrix; for 2.14 and
        2.15, which builds public projects install.
    [jax] JAX, "Installation": supported GPUs.
    [ort] ONNX Runtime, "CUDA Execution Provider": requirements.
    [cupy] CuPy, "Installation".
    [index] Wheels' own metadata and sizes, measured on the package index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from sageturner_magic.constants import Architecture
from sageturner_magic.gpu.values import Capability, Cuda

AS_OF = date(2026, 11, 22)
"""When the tables were last compared with their sources."""

FLOORS: Mapping[int, str] = MappingProxyType({11: "450.80.02", 12: "525.60.13", 13: "580.65.06"})
"""CUDA major -> the oldest Linux driver that runs all its minor versions [compat]."""

FIRST_DRIVER: Mapping[int, int] = MappingProxyType({10: 570, 12: 570})
"""Major compute capability -> the first driver branch that knows such a GPU [toolkit].

Also a bound for a driver that is not documented: a Blackwell instance cannot have an older one.
GPUs that every driver in these tables knows are left out.
"""

LAST_DRIVER: Mapping[Capability, int] = MappingProxyType({(3, 7): 470, (7, 0): 580})
"""Compute capability -> the last driver branch that supports such a GPU [toolkit]."""

LEAST_CAPABILITY: Mapping[int, Capability] = MappingProxyType({11: (3, 5), 12: (5, 0), 13: (7, 5)})
"""CUDA major -> the oldest GPU that its libraries support [toolkit]."""


FIRST_CUDA: Mapping[Capability, Cuda] = MappingProxyType({(10, 3): (12, 9)})
"""Compute capability -> the first CUDA that knows it, where code for an older GPU of the same
major version would otherwise be taken for enough [toolkit]."""

LAST_ASSUMED: Capability = (9, 0)
"""The newest GPU that a framework without a list of its own is taken to have code for.

Released builds of TensorFlow, JAX, ONNX Runtime and CuPy from the versions in these tables on
cover it; for newer GPUs that depends on the version.
"""


@dataclass(frozen=True)
class Ami:
    """A value of InferenceAmiVersion with NVIDIA's driver.

    Attributes:
        driver: Branch of the driver.
        cuda: The CUDA that the driver was released with.
    """

    driver: int
    cuda: Cuda


AMIS: Mapping[str, Ami] = MappingProxyType(
    {
        "al2-ami-sagemaker-inference-gpu-2": Ami(535, (12, 2)),
        "al2-ami-sagemaker-inference-gpu-2-1": Ami(535, (12, 2)),
        "al2-ami-sagemaker-inference-gpu-3-1": Ami(550, (12, 4)),
        "al2023-ami-sagemaker-inference-gpu-4-1": Ami(580, (13, 0)),
    }
)
"""Oldest driver first [ami]."""

OTHER_AMIS = frozenset({"al2-ami-sagemaker-inference-neuron-2"})
"""Values of InferenceAmiVersion that have no NVIDIA driver [ami]."""

_GPU_2 = "al2-ami-sagemaker-inference-gpu-2"
_GPU_4_1 = "al2023-ami-sagemaker-inference-gpu-4-1"


@dataclass(frozen=True)
class Family:
    """Instances with an NVIDIA GPU.

    Attributes:
        gpu: The GPU's name; empty where it is not known.
        memory_gb: Memory of one GPU in GB, None where it is not known.
        capability: Compute capability, None where it is not known.
        default_driver: Branch of the driver without InferenceAmiVersion [drivers], None where
            AWS does not say.
        known_good: Values of InferenceAmiVersion that the family is known to start with, the
            one to prefer first.
        gpus: Size -> number of GPUs, for the sizes that have more than one.
        architecture: Of the CPU.
    """

    gpu: str
    memory_gb: int | None
    capability: Capability | None
    default_driver: int | None
    known_good: tuple[str, ...] = ()
    gpus: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    architecture: Architecture = "amd64"


_BY_LARGE_SIZES = MappingProxyType({"12xlarge": 4, "24xlarge": 4, "48xlarge": 8})
_BY_TWO = MappingProxyType({"12xlarge": 2, "24xlarge": 4, "48xlarge": 8})
_EIGHT = MappingProxyType({"24xlarge": 8, "48xlarge": 8})

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "p2": Family("K80", 12, (3, 7), 470, (), {"8xlarge": 8, "16xlarge": 16}),
        "p3": Family("V100", 16, (7, 0), None, (_GPU_2,), {"8xlarge": 4, "16xlarge": 8}),
        "g4dn": Family("T4", 16, (7, 5), 470, (_GPU_4_1, _GPU_2), {"12xlarge": 4}),
        "g5": Family("A10G", 24, (8, 6), 470, (_GPU_4_1, _GPU_2), _BY_LARGE_SIZES),
        "p4d": Family("A100", 40, (8, 0), 470, (_GPU_4_1, _GPU_2), _EIGHT),
        "p4de": Family("A100", 80, (8, 0), 470, (_GPU_4_1, _GPU_2), _EIGHT),
        "g6": Family("L4", 24, (8, 9), 535, (_GPU_4_1, _GPU_2), _BY_LARGE_SIZES),
        "g6e": Family("L40S", 48, (8, 9), None, (_GPU_4_1,), _BY_LARGE_SIZES),
        "p5": Family("H100", 80, (9, 0), 535, (_GPU_4_1, _GPU_2), _EIGHT),
        "p5e": Family("H200", 141, (9, 0), 550, (_GPU_4_1,), _EIGHT),
        "p5en": Family("H200", 141, (9, 0), 550, (_GPU_4_1,), _EIGHT),
        "p6-b200": Family("B200", 180, (10, 0), None, (), _EIGHT),
        "p6-b300": Family("B300", 268, (10, 3), None, (), _EIGHT),
        "p6e-gb200": Family("GB200", 185, (10, 0), None, (), {"36xlarge": 4}, "arm64"),
        # AWS deploys g7e with it in its own SageMaker samples ("Deploy Black Forest Labs FLUX
        # Models on Amazon SageMaker").
        "g7e": Family("RTX PRO 6000", 96, (12, 0), None, (_GPU_4_1,), _BY_TWO),
        "g7": Family("RTX PRO 4500", 32, (12, 0), None, (), _BY_TWO),
    }
)
"""Instance family -> its GPU [gpus]. Known-good AMIs are from [drivers] and [ami]."""

OTHER_ACCELERATORS: Mapping[str, str] = MappingProxyType(
    {
        "inf1": "AWS Inferentia",
        "inf2": "AWS Inferentia2",
        "trn1": "AWS Trainium",
        "trn1n": "AWS Trainium",
        "trn2": "AWS Trainium2",
        "dl1": "Intel Gaudi",
    }
)
"""Instance family -> an accelerator that CUDA wheels cannot use."""

GPU_ENVIRONMENT = (
    ("NVIDIA_VISIBLE_DEVICES", "all"),
    ("NVIDIA_DRIVER_CAPABILITIES", "compute,utility"),
)
"""What an image has to say for NVIDIA's container runtime to bring GPU and driver into it.

NVIDIA's own base images say it, a slim Python image does not (NVIDIA Container Toolkit,
"Specialized Configurations").
"""

RUNTIME_OVERHEAD_GB = 1.0
"""GPU memory in GB that CUDA's context, cuBLAS and cuDNN take before a model's first byte.

Between 0.4 and 0.9 by framework and GPU; rounded up.
"""

_OLD = ((3, 7), (5, 0), (6, 0), (7, 0), (7, 5), (8, 0), (8, 6))
_TO_HOPPER = ((5, 0), (6, 0), (7, 0), (7, 5), (8, 0), (8, 6), (9, 0))
_FROM_TURING = ((7, 5), (8, 0), (8, 6), (9, 0), (10, 0), (12, 0))

TORCH_CAPABILITIES: Mapping[Cuda, tuple[Capability, ...]] = MappingProxyType(
    {
        (11, 7): _OLD,
        (11, 8): _TO_HOPPER,
        (12, 1): _TO_HOPPER,
        (12, 4): _TO_HOPPER,
        (12, 6): _TO_HOPPER,
        (12, 8): _FROM_TURING,
        (12, 9): _FROM_TURING,
        (13, 0): _FROM_TURING,
        (13, 2): _FROM_TURING,
    }
)
"""CUDA of a torch wheel -> the GPUs it has code for [torch].

Code for x.y runs on every x.z with z >= y [compat].
"""


@dataclass(frozen=True)
class TorchMinor:
    """A minor version of torch.

    Attributes:
        cuda: CUDA of the wheel on the package index (its metadata has it too [index]).
        indexes: CUDA versions that have an index below `TORCH_INDEX`; empty where not known.
    """

    cuda: Cuda
    indexes: tuple[Cuda, ...]


TORCH_INDEX = "https://download.pytorch.org/whl/"
"""Followed by `cpu` or `cuXXX`."""

TORCH: Mapping[tuple[int, int], TorchMinor] = MappingProxyType(
    {
        (2, 0): TorchMinor((11, 7), ((11, 8),)),
        (2, 1): TorchMinor((12, 1), ((11, 8), (12, 1))),
        (2, 2): TorchMinor((12, 1), ((11, 8), (12, 1))),
        (2, 3): TorchMinor((12, 1), ((11, 8), (12, 1))),
        (2, 4): TorchMinor((12, 1), ((11, 8), (12, 1), (12, 4))),
        (2, 5): TorchMinor((12, 4), ((11, 8), (12, 1), (12, 4))),
        (2, 6): TorchMinor((12, 4), ((11, 8), (12, 4), (12, 6))),
        (2, 7): TorchMinor((12, 6), ((11, 8), (12, 6), (12, 8))),
        (2, 8): TorchMinor((12, 8), ((12, 6), (12, 8), (12, 9))),
        (2, 9): TorchMinor((12, 8), ((12, 6), (12, 8), (13, 0))),
        (2, 10): TorchMinor((12, 8), ((12, 6), (12, 8), (13, 0))),
        (2, 11): TorchMinor((13, 0), ((12, 6), (12, 8), (12, 9), (13, 0))),
        (2, 12): TorchMinor((13, 0), ((12, 6), (12, 9), (13, 0), (13, 2))),
        (2, 13): TorchMinor((13, 0), ((12, 6), (12, 9), (13, 0), (13, 2))),
        (2, 14): TorchMinor((13, 0), ((12, 6), (13, 0), (13, 2))),
        (2, 15): TorchMinor((13, 2), ((13, 0), (13, 2))),
    }
)
"""Minor version of torch -> its wheels [torch]."""

TORCH_ARM64_CUDA = (2, 11)
"""The first torch whose arm64 wheel on the package index is a CUDA build [index]."""

NEWEST: Mapping[str, str] = MappingProxyType(
    {
        "torch": "2.15",
        "tensorflow": "2.21",
        "jax": "0.12",
        "onnxruntime-gpu": "1.31",
        "cupy-cuda12x": "14.2",
        "vllm": "0.33",
        "bitsandbytes": "0.50",
        "flash-attn": "2.8",
        "xformers": "0.0",
    }
)
"""Framework -> the newest minor version that these tables were checked with [index]."""

TENSORFLOW_AND_CUDA = (2, 14)
"""The first TensorFlow with the extra `and-cuda` [index]."""

TENSORFLOW_CUDA: Mapping[tuple[int, int], Cuda] = MappingProxyType(
    {(2, 14): (11, 8), (2, 15): (12, 2), (2, 16): (12, 3), (2, 18): (12, 5)}
)
"""First minor version of TensorFlow -> CUDA of its extra `and-cuda` [index]."""

TENSORFLOW_SYSTEM_CUDA: Cuda = (11, 8)
"""CUDA that TensorFlow before `and-cuda` (2.12, 2.13) loads from the system."""

JAX_EXTRAS: Mapping[int, tuple[int, int, int]] = MappingProxyType({12: (0, 4, 22), 13: (0, 7, 2)})
"""CUDA major -> the first jax with the extra `cudaNN` that takes CUDA from wheels [jax]."""

ONNXRUNTIME_CUDA: Mapping[tuple[int, int], Cuda] = MappingProxyType(
    {(1, 15): (11, 8), (1, 19): (12, 4), (1, 27): (13, 0)}
)
"""First minor version of onnxruntime-gpu -> CUDA of its wheel on the package index [ort].

1.19 and 1.20 run with any CUDA 12, but want cuDNN 9, which NVIDIA's images have from 12.3 on.
"""

CUDA_IMAGES: Mapping[Cuda, str] = MappingProxyType(
    {
        (11, 8): "11.8.0-cudnn8-{kind}-ubuntu22.04",
        (12, 1): "12.1.1-cudnn8-{kind}-ubuntu22.04",
        (12, 2): "12.2.2-cudnn8-{kind}-ubuntu22.04",
        (12, 3): "12.3.2-cudnn9-{kind}-ubuntu22.04",
        (12, 4): "12.4.1-cudnn-{kind}-ubuntu22.04",
        (12, 6): "12.6.3-cudnn-{kind}-ubuntu22.04",
        (12, 8): "12.8.1-cudnn-{kind}-ubuntu22.04",
        (12, 9): "12.9.1-cudnn-{kind}-ubuntu22.04",
        (13, 0): "13.0.1-cudnn-{kind}-ubuntu24.04",
        (13, 2): "13.2.1-cudnn-{kind}-ubuntu24.04",
    }
)
"""CUDA -> the tag of NVIDIA's image with cuDNN; `kind` is `runtime` or `devel`."""

CUDA_IMAGE_REPOSITORY = "nvcr.io/nvidia/cuda"
"""NVIDIA's own registry, which limits no anonymous pulls as Docker Hub does."""

CUDA_WHEELS_BYTES: Mapping[str, Mapping[tuple[int, int], int]] = MappingProxyType(
    {
        "torch": {
            (2, 0): 1_647_233_432,
            (2, 1): 2_018_027_295,
            (2, 2): 2_052_911_943,
            (2, 3): 2_063_324_284,
            (2, 4): 2_037_710_772,
            (2, 5): 2_090_011_481,
            (2, 6): 2_283_720_444,
            (2, 7): 2_163_656_344,
            (2, 8): 3_018_442_432,
            (2, 9): 3_157_978_336,
            (2, 10): 3_202_487_079,
            (2, 11): 2_178_434_688,
            (2, 12): 2_197_781_433,
            (2, 13): 2_203_710_139,
            (2, 14): 2_450_869_079,
            (2, 15): 2_450_564_926,
        },
        "tensorflow[and-cuda]": {(2, 17): 1_843_329_177, (2, 21): 2_806_642_481},
        "jax[cuda12]": {(0, 10): 3_204_808_206},
        "jax[cuda13]": {(0, 10): 2_482_054_339},
        "tensorflow": {(2, 21): 298_610_411},
        "onnxruntime-gpu": {(1, 31): 231_807_333},
    }
)
"""Framework -> minor version -> bytes of the wheels that only its GPU build needs [index].

The sum of the compressed NVIDIA, CUDA and Triton wheels of a resolution for Linux x86-64 and
Python 3.11; for `tensorflow` and `onnxruntime-gpu` the difference to the CPU package's wheel.
"""
