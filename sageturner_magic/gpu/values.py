"""The questions and the decisions of the GPU fit, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sageturner_magic.constants import Architecture, EndpointType
from sageturner_magic.errors import Finding

Cuda = tuple[int, int]
"""A CUDA version: major and minor."""

Capability = tuple[int, int]
"""A GPU's compute capability: major and minor."""

BaseKind = Literal["slim", "cuda-runtime", "cuda-devel"]


@dataclass(frozen=True)
class ResolvedPackage:
    """One package of a resolution.

    Attributes:
        name: As the index spells it; compared in its normalised form.
        version: The exact version, local part included (`2.7.1+cu118`).
        requires: The `Requires-Dist` lines of its metadata; empty where they were not read.
        extras: The extras that were asked for (`and-cuda`, `cuda12`).
        index: The URL of the index it was found on; empty for the default index.
        entry: The user's own requirement line that asks for it, or that names the index it was
            found on, flags included; empty where no line of the user's did.
        from_source: There is no wheel of it for the target: it has to be compiled.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    index: str = ""
    entry: str = ""
    from_source: bool = False


@dataclass(frozen=True)
class ComputeTarget:
    """Where the model is to run.

    Attributes:
        endpoint_type: `local` and `serverless` have no GPU.
        instance_type: `ml.g5.xlarge`; read for `server` only.
        ami: The user's `compute.server.inference_ami_version`; empty when left to the fit.
        install_cuda: The user's `container.generate_container.install_cuda`.
        model_bytes: Size of the artefact in bytes, or None where it is not known.
    """

    endpoint_type: EndpointType
    instance_type: str = ""
    ami: str = ""
    install_cuda: bool = False
    model_bytes: int | None = None


@dataclass(frozen=True)
class Replacement:
    """A package to be resolved again in another build.

    Attributes:
        package: The package that is replaced, as it was resolved.
        requirement: What takes its place (`torch==2.11.0`, `tensorflow-cpu==2.16.2`).
        index: The index that alone may answer the requirement; empty for the default index.
        variant: `cpu`, `cu126`, or the extras that were added.
    """

    package: str
    requirement: str
    index: str
    variant: str


@dataclass(frozen=True)
class Need:
    """What one framework asks of the driver, and how that is known.

    Attributes:
        framework: Name and version for people: `torch 2.11.0`.
        cuda: The CUDA it was built for, or None for a build that uses no GPU.
        variant: `cu130`, `cpu`, … for people.
        evidence: Where the CUDA version was read.
    """

    framework: str
    cuda: Cuda | None
    variant: str
    evidence: str


@dataclass(frozen=True)
class ImageBase:
    """What the image is built on.

    Attributes:
        kind: `slim` is the configured Python image; the others add a CUDA of the system to it.
        cuda: That CUDA, or None for `slim`.
        reference: NVIDIA's image that it is taken from; empty for `slim`.
    """

    kind: BaseKind = "slim"
    cuda: Cuda | None = None
    reference: str = ""


@dataclass(frozen=True)
class Decision:
    """Builds, AMI and base image that start together.

    Attributes:
        architecture: Of image and wheels.
        gpu: The GPU that the frameworks use (`A10G`), empty for a CPU endpoint.
        ami: `InferenceAmiVersion` of the endpoint config; empty to leave it out.
        driver: Branch of the NVIDIA driver that will be found, None where that is not known
            or there is no GPU.
        base: The base image.
        environment: Variables that the image has to set.
        replacements: Packages to resolve again; empty when the resolution can stay.
        needs: What each framework needs after the replacements.
        saved_bytes: Bytes of CUDA wheels (compressed) that the image does without.
        reasons: One sentence each, without a full stop.
    """

    architecture: Architecture
    gpu: str = ""
    ami: str = ""
    driver: int | None = None
    base: ImageBase = ImageBase()
    environment: tuple[tuple[str, str], ...] = ()
    replacements: tuple[Replacement, ...] = ()
    needs: tuple[Need, ...] = ()
    saved_bytes: int = 0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fit:
    """A decision, or the errors that stand in its way; warnings and notes come with either.

    Attributes:
        decision: None when `findings` has an error.
        findings: Errors first, then warnings, then notes; within each by weight.
    """

    decision: Decision | None
    findings: tuple[Finding, ...] = ()
