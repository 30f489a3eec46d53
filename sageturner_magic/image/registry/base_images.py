"""Read base images through the registry API: layers and config for one platform."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import docker.auth

from sageturner_magic.errors import ImageError
from sageturner_magic.image.registry.client import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Manifest,
    RegistryClient,
)
from sageturner_magic.image.spec import Destination
from sageturner_magic.packages import Target
from sageturner_magic.values import Credentials

MAX_AGE = 24 * 3600
"""Seconds for which a tag is taken to stand for the same base image.

Each new one changes the image of every model, so it is looked for once a day and not at every
deployment; a reference by digest is exact and never looked up again.
"""

_GZIP = re.compile(r"\.tar\.gzip$|\.tar\+gzip$")
_DOCKER_HUB = "registry-1.docker.io"


BaseCredentials = Callable[[str], Credentials | None]
"""Host of a base image's registry -> what to present there."""


@dataclass(frozen=True)
class BaseLayer:
    """A layer of a base image.

    Attributes:
        digest: `sha256:…` of the compressed bytes.
        size: Compressed bytes.
    """

    digest: str
    size: int


@dataclass(frozen=True)
class BaseImage:
    """A base image for one platform.

    Attributes:
        repository: Registry host and repository.
        digest: `sha256:…` of its manifest for the platform.
        layers: From the bottom.
        config: Its configuration, as the image specification has it.
    """

    repository: str
    digest: str
    layers: tuple[BaseLayer, ...]
    config: dict[str, Any]

    @property
    def python_home(self) -> str:
        """The folder of its Python. Raises ImageError where it is not a Python image."""
        if self.python_version and "/usr/local/bin" in self.path.split(":"):
            return "/usr/local/bin"
        raise ImageError(
            "the base image does not say where its Python is",
            why="it is not one of the python images (PYTHON_VERSION is not in its environment)",
            do="set `builder: docker`, or name a base_image that is made from a python image",
            code="ST68",
        )

    @property
    def python_version(self) -> str:
        """Major and minor, or empty where it does not say."""
        return ".".join(self._variable("PYTHON_VERSION").split(".")[:2])

    @property
    def path(self) -> str:
        """Its PATH."""
        return (
            self._variable("PATH") or "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        )

    def _variable(self, name: str) -> str:
        for each in self.config.get("config", {}).get("Env") or ():
            found, _, value = each.partition("=")
            if found == name:
                return str(value)
        return ""


@dataclass(frozen=True)
class BaseImages:
    """Looks base images up.

    Attributes:
        folder: Where what was found is kept.
        credentials: Host -> what to present there; by default what `docker login` has stored.
    """

    folder: Path
    credentials: BaseCredentials

    def find(self, reference: str, target: Target) -> BaseImage:
        """The image of that reference for `target`'s platform. Raises ImageError."""
        name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{reference}-{target.architecture}")
        kept = self.folder / "bases" / f"{name}.json"
        if found := _remembered(kept, exact="@" in reference):
            return found
        repository, version = split_reference(reference)
        client = self.client(repository)
        manifest = _for_platform(client, version, target, reference)
        content = manifest.content
        for layer in content["layers"]:
            if not _GZIP.search(layer["mediaType"]) or "foreign" in layer["mediaType"]:
                raise ImageError(
                    f"a layer of {reference} cannot be used",
                    why=f"it is {layer['mediaType']}, SageMaker takes gzip",
                    do="set `builder: docker`, or choose another base_image",
                    code="ST68",
                )
        found = BaseImage(
            repository=repository,
            digest=manifest.digest,
            layers=tuple(BaseLayer(layer["digest"], layer["size"]) for layer in content["layers"]),
            config=json.loads(client.blob(content["config"]["digest"])),
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=kept.parent, delete=False) as file:
            json.dump(asdict(found), file)
        Path(file.name).replace(kept)
        return found

    def client(self, repository: str) -> RegistryClient:
        """A client for the repository of a base image."""
        account = self.credentials(repository.partition("/")[0])
        return RegistryClient(Destination(repository, (lambda: account) if account else None))


def stored_credentials(host: str) -> Credentials | None:
    """What `docker login` has stored for `host`, also through its helpers."""
    asked = "https://index.docker.io/v1/" if host == _DOCKER_HUB else host
    try:
        found = docker.auth.load_config().resolve_authconfig(asked)
    except (docker.errors.DockerException, OSError):
        return None
    if not found or not found.get("username"):
        return None
    return Credentials(found["username"], found.get("password") or "")


def split_reference(reference: str) -> tuple[str, str]:
    """Repository (with its registry's host) and tag or digest of an image's name."""
    name, at, digest = reference.partition("@")
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        # Docker Hub, and there its own images.
        first, rest = _DOCKER_HUB, name if slash else f"library/{name}"
    if first in ("docker.io", "index.docker.io"):
        first = _DOCKER_HUB
        rest = rest if "/" in rest else f"library/{rest}"
    rest, _, tag = rest.partition(":")
    return f"{first}/{rest}", digest if at else tag or "latest"


def _for_platform(client: RegistryClient, version: str, target: Target, reference: str) -> Manifest:
    manifest = client.manifest(version)
    if manifest and manifest.media_type in (DOCKER_INDEX, OCI_INDEX):
        digests = [
            each["digest"]
            for each in manifest.content["manifests"]
            if each.get("platform", {}).get("os") == "linux"
            and each.get("platform", {}).get("architecture") == target.architecture
        ]
        manifest = client.manifest(digests[0]) if digests else None
    if manifest is None or manifest.media_type not in (DOCKER_MANIFEST, OCI_MANIFEST):
        raise ImageError(
            f"there is no base image {reference} for {target.platform}",
            do="correct base_image and python_version",
            code="ST68",
        )
    return manifest


def _remembered(kept: Path, exact: bool) -> BaseImage | None:
    try:
        if not exact and time.time() - kept.stat().st_mtime > MAX_AGE:
            return None
        read = json.loads(kept.read_text())
        layers = tuple(BaseLayer(**layer) for layer in read["layers"])
        return BaseImage(read["repository"], read["digest"], layers, read["config"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
