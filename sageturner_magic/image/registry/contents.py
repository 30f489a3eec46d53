"""Read one file of an image from its registry, without pulling the image."""

from __future__ import annotations

import io
import tarfile

from sageturner_magic.errors import ImageError
from sageturner_magic.image.registry.client import RegistryClient
from sageturner_magic.image.spec import Destination

LARGEST_LAYER = 64 << 20
"""Compressed bytes of a layer that is looked into; code is smaller, packages are larger."""


def read_file(destination: Destination, digest: str, path: str) -> bytes | None:
    """The file `path` (absolute) of the image `digest`, from the last layer that has it.

    Layers above `LARGEST_LAYER` are not looked into. None where no other has the file.

    Raises:
        ImageError: The registry has no such image, or refuses it.
    """
    client = RegistryClient(destination)
    manifest = client.manifest(digest)
    if manifest is not None and "manifests" in manifest.content:
        manifest = client.manifest(manifest.content["manifests"][0]["digest"])
    if manifest is None:
        raise ImageError(
            f"The registry does not have the image {digest[:19]}…",
            where=destination.repository,
            do="deploy again",
            code="ST69",
        )
    for layer in reversed(manifest.content["layers"]):
        if layer["size"] <= LARGEST_LAYER:
            found = _in_layer(client.blob(layer["digest"]), path)
            if found is not None:
                return found
    return None


def _in_layer(blob: bytes, path: str) -> bytes | None:
    with tarfile.open(fileobj=io.BytesIO(blob)) as layer:
        for entry in layer:
            if entry.isfile() and f"/{entry.name.removeprefix('./').lstrip('/')}" == path:
                file = layer.extractfile(entry)
                return file.read() if file else None
    return None
