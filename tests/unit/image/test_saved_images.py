"""An engine's image, sent by our own client: what the registry then has."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from sageturner_magic.image.docker import saved_images
from tests.parts.recorder import Recorder

LAYERS = (b"first layer" * 1000, b"second layer" * 1000)
CONFIG = json.dumps({"architecture": "amd64"}).encode()


class Engine:
    """Hands an image out as `docker save` does."""

    def __init__(self, *layers: bytes) -> None:
        self._layers = layers

    def get_image(self, reference: str) -> Iterator[bytes]:
        names = [f"{number}/layer.tar" for number, _ in enumerate(self._layers)]
        described = [{"Config": "config.json", "RepoTags": [reference], "Layers": names}]
        files = {"manifest.json": json.dumps(described).encode(), "config.json": CONFIG}
        files |= dict(zip(names, self._layers, strict=True))
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        yield packed.getvalue()[:100]
        yield packed.getvalue()[100:]


class Registry:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.uploads: list[str] = []
        self.manifests: dict[str, Any] = {}

    def has_blob(self, digest: str) -> bool:
        return digest in self.blobs

    def upload(self, digest: str, size: int, read: Any, reporter: object, title: str) -> None:
        content = b"".join(read(0))
        assert len(content) == size and b"".join(read(7)) == content[7:]
        assert digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.blobs[digest] = content
        self.uploads.append(title)

    def put_manifest(self, tag: str, content: bytes, media_type: str) -> str:
        self.manifests[tag] = json.loads(content)
        return "sha256:x"


def send(registry: Registry, *layers: bytes) -> dict[str, Any]:
    saved_images.send(Engine(*layers), "x:1", "digits-1", registry, Recorder())  # type: ignore[arg-type]
    found: dict[str, Any] = registry.manifests["digits-1"]
    return found


def test_the_registry_gets_configuration_layers_and_a_manifest_of_them() -> None:
    registry = Registry()
    manifest = send(registry, *LAYERS)
    assert manifest["mediaType"].endswith("docker.distribution.manifest.v2+json")
    assert registry.blobs[manifest["config"]["digest"]] == CONFIG
    sent = [gzip.decompress(registry.blobs[layer["digest"]]) for layer in manifest["layers"]]
    assert tuple(sent) == LAYERS
    for part in (manifest["config"], *manifest["layers"]):
        assert part["size"] == len(registry.blobs[part["digest"]])


def test_what_is_there_is_not_sent_again() -> None:
    registry = Registry()
    send(registry, LAYERS[0])
    send(registry, *LAYERS)
    assert registry.uploads == ["configuration", "layer 1 of 1", "layer 2 of 2"]


@pytest.mark.parametrize("level", [1, 9])
def test_a_layer_that_the_engine_keeps_compressed_is_sent_as_it_is(level: int) -> None:
    registry = Registry()
    packed = gzip.compress(LAYERS[0], level)
    (layer,) = send(registry, packed)["layers"]
    assert registry.blobs[layer["digest"]] == packed
