"""The values between a deployment and a builder: what to build, and what was built."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sageturner_magic.constants import Architecture
from sageturner_magic.packages import Requirements, Target
from sageturner_magic.values import CapturedModule, Credentials

LOCAL_REPOSITORY = "sageturner-sagemaker"
"""What images are called in this machine's Docker engine, as in the registry."""


def default_base_image(python_version: str) -> str:
    """The base image where none is named: Docker's official one, without Docker Hub's limits."""
    return f"public.ecr.aws/docker/library/python:{python_version}-slim"


@dataclass(frozen=True)
class SystemCuda:
    """CUDA and cuDNN that do not come with the wheels: taken from an image of NVIDIA's.

    Attributes:
        reference: The image, which has CUDA below /usr/local/cuda-VERSION.
        version: Major and minor: `12.4`.
        purpose: `run` for packages that load it, `compile` for those that are built with it.
    """

    reference: str
    version: str
    purpose: Literal["run", "compile"]


@dataclass(frozen=True)
class BuildSpec:
    """An image that is generated around a module.

    Attributes:
        name: The endpoint's name.
        module: The code that serves.
        requirements: The model's packages.
        server_requirements: The model server's, for the same target.
        base_image: Reference of an image with Python and pip; empty for the default.
        system_packages: Debian packages, each with an optional `=version`.
        environment: Variables that the image itself sets.
        cuda: CUDA of the system, where packages want it.
    """

    name: str
    module: CapturedModule
    requirements: Requirements
    server_requirements: Requirements
    base_image: str = ""
    system_packages: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cuda: SystemCuda | None = None

    @property
    def target(self) -> Target:
        """What the image runs on."""
        return self.requirements.target

    @property
    def architecture(self) -> Architecture:
        """The image's."""
        return self.target.architecture

    @property
    def base(self) -> str:
        """The base image's reference."""
        return self.base_image or default_base_image(self.target.python_version)


@dataclass(frozen=True)
class ProvidedSpec:
    """An image that the user's own Dockerfile describes.

    Attributes:
        name: The endpoint's name.
        folder: With the Dockerfile, and a .dockerignore if there is one.
        architecture: The image's.
    """

    name: str
    folder: Path
    architecture: Architecture = "amd64"


Spec = BuildSpec | ProvidedSpec


@dataclass(frozen=True)
class BuiltImage:
    """An image that a builder holds and can push.

    Attributes:
        tag: `<name>-<12 hex of the build's inputs>`.
        reference: What the builder knows it by (a Docker engine's `repository:tag`).
        architecture: `amd64` or `arm64`.
        size: Bytes: unpacked in a Docker engine, compressed as layers.
        reused: Whether it was there already, so that nothing was built.
    """

    tag: str
    reference: str
    architecture: Architecture
    size: int
    reused: bool


@dataclass(frozen=True)
class Destination:
    """A repository in a registry.

    Attributes:
        repository: Registry host and repository, without a tag.
        credentials: Called for a user and password whenever the registry wants them, and again
            when those it gave have expired; None for an open registry.
    """

    repository: str
    credentials: Callable[[], Credentials] | None = None


def tag_of(name: str, *inputs: str) -> str:
    """`<name>-<12 hex>` over all inputs of a build."""
    whole = chr(0).join(inputs).encode(errors="surrogateescape")
    return f"{name}-{hashlib.sha256(whole).hexdigest()[:12]}"
