"""Which builder makes an image, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sageturner_magic.errors import ImageError
from sageturner_magic.image import engine
from sageturner_magic.image.docker_builder import DockerBuilder
from sageturner_magic.image.layers_builder import LayersBuilder, refuse_what_needs_docker
from sageturner_magic.image.spec import Builder, Spec

Setting = Literal["auto", "docker", "layers"]


@dataclass(frozen=True)
class Choice:
    """A builder and the reason for it.

    Attributes:
        builder: Ready to build.
        name: `docker` or `layers`.
        reason: For people, without a full stop.
    """

    builder: Builder
    name: Literal["docker", "layers"]
    reason: str


def choose(setting: Setting, spec: Spec) -> Choice:
    """The builder for `spec` under the configuration's `builder`.

    `auto` takes what can make the image, and of both the engine, because the image can then be
    tried before it is pushed; but not one of another architecture, whose emulation crawls.
    Raises ImageError where `layers` is asked for and cannot make the image.
    """
    if setting == "docker":
        return Choice(DockerBuilder(), "docker", "`builder: docker` asks for it")
    if setting == "layers":
        refuse_what_needs_docker(spec)
        return Choice(LayersBuilder(), "layers", "`builder: layers` asks for it")
    try:
        refuse_what_needs_docker(spec)
    except ImageError as error:
        return Choice(DockerBuilder(), "docker", error.findings[0].what)
    architecture = engine.architecture()
    if architecture == spec.architecture:
        return Choice(DockerBuilder(), "docker", "a Docker engine answers")
    if architecture:
        reason = f"the Docker engine is for {architecture} and the image is not"
    else:
        reason = "no Docker engine answers"
    return Choice(LayersBuilder(), "layers", reason)
