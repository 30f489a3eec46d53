"""Send the layers of an image that a repository does not have, each in the shortest way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from sageturner_magic.constants import CHUNK
from sageturner_magic.errors import ImageError
from sageturner_magic.image.layers.assembled import AssembledImage, digest_of
from sageturner_magic.image.layers.cache import LayerCache
from sageturner_magic.image.layers.maker import Layer
from sageturner_magic.image.registry import DOCKER_MANIFEST, Read, RegistryClient
from sageturner_magic.values import Reporter

UPLOADS = 4
"""How many layers are on their way at once."""


@dataclass(frozen=True)
class Sender:
    """Sends images to a repository.

    Attributes:
        registry: Where to.
        source: Where the base image is.
        cache: Where the other layers are.
        elsewhere: Digest -> another repository of the same registry that has that layer.
        reporter: Told of each layer.
    """

    registry: RegistryClient
    source: RegistryClient
    cache: LayerCache
    elsewhere: Mapping[str, str]
    reporter: Reporter

    def send(self, image: AssembledImage, tag: str, known: frozenset[str] = frozenset()) -> str:
        """Send what is not `known` to be there, and then the manifest; its digest.

        Raises ImageError.
        """
        own = {f"sha256:{each.written.digest}": each for each in image.layers}
        with ThreadPoolExecutor(max_workers=UPLOADS) as workers:
            sent = [
                *(
                    workers.submit(self._base, layer.digest, layer.size)
                    for layer in image.base.layers
                    if layer.digest not in known
                ),
                *(
                    workers.submit(self._own, digest, layer)
                    for digest, layer in own.items()
                    if digest not in known
                ),
                workers.submit(self._config, image.config.encode()),
            ]
            try:
                for each in sent:
                    each.result()
            except BaseException:
                workers.shutdown(cancel_futures=True)
                raise
        if known:
            self.reporter.log(
                f"{len(known.intersection([*own]))} layers are there since the last push"
            )
        self.reporter.checkpoint()
        return self.registry.put_manifest(tag, image.manifest(), DOCKER_MANIFEST)

    def _base(self, digest: str, size: int) -> None:
        """A layer of the base image, from registry to registry without touching the disk."""
        near = self.source.name if self.source.host == self.registry.host else ""
        read = partial(self.source.read, digest)
        self._layer(digest, size, base_title(digest), read, near, "copied")

    def _own(self, digest: str, layer: Layer) -> None:
        read = partial(read_layer, self.cache, layer)
        self._layer(digest, layer.written.size, layer.title, read, "", "pushed")

    def _layer(self, digest: str, size: int, title: str, read: Read, near: str, sent: str) -> None:
        if self.registry.has_blob(digest):
            self.reporter.log(f"{title}: there already")
            return
        near = near or self.elsewhere.get(digest, "")
        if near and self.registry.mount(digest, near):
            self.reporter.log(f"{title}: mounted from {near}")
            return
        self.registry.upload(digest, size, read, self.reporter, title)
        self.reporter.log(f"{title}: {sent} {megabytes(size)}")

    def _config(self, config: bytes) -> None:
        digest = digest_of(config)
        if not self.registry.has_blob(digest):
            self.registry.upload(digest, len(config), lambda offset: iter((config[offset:],)),
                                 self.reporter, "configuration")  # fmt: skip


def read_layer(cache: LayerCache, layer: Layer, offset: int = 0) -> Iterator[bytes]:
    """A layer from the cache, after seeing that it is what it was. Raises ImageError."""
    if offset == 0 and not cache.is_sound(layer.written):
        raise ImageError(
            f"the layer of {layer.title} is damaged on this disk",
            why="its content does not have its digest; it has been removed",
            do="run it again: the layer is made anew",
        )
    with cache.blob(layer.written.digest).open("rb") as file:
        file.seek(offset)
        while chunk := file.read(CHUNK):
            yield chunk


def base_title(digest: str) -> str:
    """What a layer of a base image is called."""
    return f"base image {digest[7:19]}"


def megabytes(size: int) -> str:
    """A size as messages have it."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
