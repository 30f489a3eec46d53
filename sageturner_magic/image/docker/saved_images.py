"""Push images of a Docker engine with our own registry client.

An engine gives up a push at the first 429 and after a few broken connections; the client asks
again until the registry takes what it has.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import docker
from zlib_ng import gzip_ng

from sageturner_magic.constants import CHUNK
from sageturner_magic.image.layers import LEVEL, manifest_of
from sageturner_magic.image.registry import DOCKER_MANIFEST, BaseLayer, RegistryClient
from sageturner_magic.scratch import scratch_folder
from sageturner_magic.values import Reporter

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class _Blob:
    path: Path
    digest: str
    size: int

    def read(self, offset: int) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            file.seek(offset)
            while chunk := file.read(CHUNK):
                yield chunk


def send(
    engine: docker.APIClient, reference: str, tag: str, registry: RegistryClient, reporter: Reporter
) -> None:
    """Put the engine's image `reference` under `tag`, apart from the blobs that are there.

    Raises ImageError, docker's APIError and OSError.
    """
    with scratch_folder() as work:
        saved = work / "image.tar"
        with saved.open("wb") as out:
            for chunk in engine.get_image(reference):
                reporter.checkpoint()
                out.write(chunk)
        with tarfile.open(saved) as archive:
            (described,) = json.load(_file(archive, "manifest.json"))
            config = _blob(_file(archive, described["Config"]), work / "config")
            _send(registry, config, "configuration", reporter)
            layers: list[BaseLayer] = []
            for number, name in enumerate(described["Layers"], 1):
                layer = _compressed(_file(archive, name), work / "layer", reporter)
                title = f"layer {number} of {len(described['Layers'])}"
                _send(registry, layer, title, reporter)
                layers.append(BaseLayer(layer.digest, layer.size))
        manifest = manifest_of(BaseLayer(config.digest, config.size), layers)
        registry.put_manifest(tag, manifest, DOCKER_MANIFEST)


def _file(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    found = archive.extractfile(name)
    assert found is not None
    return found


def _compressed(layer: IO[bytes], path: Path, reporter: Reporter) -> _Blob:
    first = layer.read(2)
    layer.seek(0)
    if first == _GZIP:
        return _blob(layer, path)
    with (
        path.open("wb") as out,
        gzip_ng.GzipNGFile(  # type: ignore[no-untyped-call]
            filename="", mode="wb", compresslevel=LEVEL, fileobj=out, mtime=0
        ) as packed,
    ):
        while chunk := layer.read(CHUNK):
            reporter.checkpoint()
            packed.write(chunk)  # type: ignore[no-untyped-call]
    with path.open("rb") as written:
        return _Blob(path, _digest(written), path.stat().st_size)


def _blob(content: IO[bytes], path: Path) -> _Blob:
    with path.open("wb") as out:
        while chunk := content.read(CHUNK):
            out.write(chunk)
    with path.open("rb") as written:
        return _Blob(path, _digest(written), path.stat().st_size)


def _digest(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(CHUNK):
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _send(registry: RegistryClient, blob: _Blob, title: str, reporter: Reporter) -> None:
    if registry.has_blob(blob.digest):
        reporter.log(f"{title}: there already")
        return
    registry.upload(blob.digest, blob.size, blob.read, reporter, title)
    reporter.log(f"{title}: pushed")
