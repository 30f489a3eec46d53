"""The protocol of image builders, and the choice of one.

Deployments know builders by this protocol; only the choice names their classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from sageturner_magic.constants import Architecture
from sageturner_magic.errors import ImageError
from sageturner_magic.image.docker import DockerBuilder, engine_architecture
from sageturner_magic.image.layers import LayersBuilder, PlannedLayer, refuse_what_needs_docker
from sageturner_magic.image.registry import BaseCredentials, stored_credentials
from sageturner_magic.image.spec import BuiltImage, Destination, Spec
from sageturner_magic.values import ImageRef, Reporter, UnpackedImage

Setting = Literal["auto", "docker", "layers"]
"""The configuration's `builder`."""


class Builder(Protocol):
    """Makes images, gets them ready to run and pushes them.

    Attributes:
        name: As the configuration's `builder` has it.
        needs_engine: A Docker engine builds its images and runs them.
    """

    name: ClassVar[str]
    needs_engine: ClassVar[bool]

    def prepare(self, spec: Spec, reporter: Reporter) -> None:
        """See that `spec` can be built here, before anything else is done. Raises ImageError."""

    def build(self, spec: Spec, reporter: Reporter) -> BuiltImage:
        """Build `spec`, or find it unchanged. Raises ImageError."""

    def planned(
        self, spec: Spec, destination: Destination | None, reporter: Reporter
    ) -> tuple[PlannedLayer, ...]:
        """The layers of `spec`, and where each is already; empty if only a build can tell.

        Args:
            destination: The repository to push to, if it exists.

        Raises:
            ImageError: The image cannot be assembled, or a registry does not respond.
        """

    def unpack(self, image: BuiltImage, reporter: Reporter) -> UnpackedImage | None:
        """`image` as a folder to run; None if its engine runs it. Raises ImageError."""

    def push(self, image: BuiltImage, destination: Destination, reporter: Reporter) -> ImageRef:
        """Push `image`, unless the repository has it. Raises ImageError."""


@dataclass(frozen=True)
class ChosenBuilder:
    """Which builder makes an image, and why.

    Attributes:
        architecture: The image's.
        reason: For people, without a full stop.
    """

    builder: Builder
    architecture: Architecture
    reason: str


def choose(
    setting: Setting, spec: Spec, credentials: BaseCredentials = stored_credentials
) -> ChosenBuilder:
    """The builder for `spec` under the configuration's `builder`.

    `auto` prefers the Docker engine, because it can also run the image before the push; but not
    an engine of another architecture, which emulates the image's slowly.

    Args:
        credentials: Host -> what to present to a base image's registry.

    Raises:
        ImageError: `layers` is configured and cannot make the image.
    """

    def docker(reason: str) -> ChosenBuilder:
        return ChosenBuilder(DockerBuilder(credentials=credentials), spec.architecture, reason)

    def layers(reason: str) -> ChosenBuilder:
        return ChosenBuilder(LayersBuilder(credentials=credentials), spec.architecture, reason)

    if setting == "docker":
        return docker("`builder: docker` asks for it")
    try:
        refuse_what_needs_docker(spec)
    except ImageError as error:
        if setting == "layers":
            raise
        return docker(error.findings[0].what)
    if setting == "layers":
        return layers("`builder: layers` asks for it")
    architecture = engine_architecture()
    if architecture == spec.architecture:
        return docker("a Docker engine answers")
    if architecture:
        return layers(f"the Docker engine is for {architecture} and the image is not")
    return layers("no Docker engine answers")
