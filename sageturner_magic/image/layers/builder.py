"""Build images from layers and push them through the registry API, without Docker."""

from __future__ import annotations

import errno
import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from sageturner_magic.errors import Finding, ImageError
from sageturner_magic.image import context
from sageturner_magic.image.layers import bytecode
from sageturner_magic.image.layers.assembled import AssembledImage
from sageturner_magic.image.layers.bytecode import Compilers
from sageturner_magic.image.layers.cache import LayerCache, layers_folder
from sageturner_magic.image.layers.maker import LayerMaker, PlannedLayer
from sageturner_magic.image.layers.pushed import PushedLayers
from sageturner_magic.image.layers.sending import (
    UPLOADS,
    Sender,
    base_title,
    megabytes,
    read_layer,
)
from sageturner_magic.image.layers.unpacking import PackedLayer, UnpackedLayers
from sageturner_magic.image.registry import (
    BaseCredentials,
    BaseImage,
    BaseImages,
    RegistryClient,
    stored_credentials,
)
from sageturner_magic.image.spec import (
    BuildSpec,
    BuiltImage,
    Destination,
    ProvidedSpec,
    Spec,
)
from sageturner_magic.packages import FileStore, default_folder, with_wheels
from sageturner_magic.values import ImageRef, Reporter, UnpackedImage


@dataclass(frozen=True)
class LayersBuilder:
    """Assembles images from wheels and a base image's layers.

    Attributes:
        cache: Where layers are kept.
        files: Where wheels are kept.
        credentials: Host -> what to present to a base image's registry.
    """

    name: ClassVar[str] = "layers"
    needs_engine: ClassVar[bool] = False

    cache: LayerCache = field(default_factory=lambda: LayerCache(layers_folder()))
    files: FileStore = field(default_factory=lambda: FileStore(default_folder()))
    credentials: BaseCredentials = stored_credentials

    def prepare(self, spec: Spec, reporter: Reporter) -> None:
        """See that `spec` needs no engine, and build its source distributions into wheels.

        Raises ImageError.
        """
        self.with_wheels(refuse_what_needs_docker(spec), reporter)

    def build(self, spec: Spec, reporter: Reporter) -> BuiltImage:
        """Make the layers that are not in the cache, and the image's configuration.

        Raises ImageError.
        """
        spec = refuse_what_needs_docker(spec)
        tag = context.image_tag(spec)
        kept = self._kept(tag)
        if found := self._remembered(kept):
            reporter.log(f"{tag} is there already, assembled from the same inputs")
            return BuiltImage(tag, str(kept), spec.target.architecture, found.size, reused=True)
        base = self._base(spec)
        with self._maker(spec, base) as maker:
            if maker.compilers is None:
                reporter.log(
                    f"no Python {spec.target.python_version} on this machine: the image has no"
                    " bytecode, and each start of it compiles"
                )
            with _on_disk(self.cache.folder):
                layers = maker.layers(self.with_wheels(spec, reporter), reporter)
        image = AssembledImage.of(spec, base, layers)
        for layer in layers:
            reporter.log(f"layer of {megabytes(layer.written.size)}: {layer.title}")
        self._remember(kept, image)
        self.cache.shrink()
        return BuiltImage(tag, str(kept), spec.target.architecture, image.size, reused=False)

    def with_wheels(self, spec: BuildSpec, reporter: Reporter) -> BuildSpec:
        """`spec` with wheels in the place of source distributions, which are built once.

        Raises ImageError where one is not pure Python.
        """
        return replace(
            spec,
            requirements=with_wheels(spec.requirements, self.files, reporter),
            server_requirements=with_wheels(spec.server_requirements, self.files, reporter),
        )

    def planned(
        self, spec: Spec, destination: Destination | None, reporter: Reporter
    ) -> tuple[PlannedLayer, ...]:
        """The layers of `spec`, and which of them are there, without making any.

        Args:
            destination: The repository that they have to be in, if there is one.

        Raises:
            ImageError: The image cannot be assembled, or a registry does not answer.
        """
        spec = refuse_what_needs_docker(spec)
        base = self._base(spec)
        with self._maker(spec, base) as maker:
            own = maker.planned(self.with_wheels(spec, reporter))
        layers = [
            *(
                PlannedLayer(base_title(layer.digest), layer.size, layer.digest, "base")
                for layer in base.layers
            ),
            *own,
        ]
        if destination is None:
            return tuple(layers)
        registry = RegistryClient(destination)

        def looked_up(layer: PlannedLayer) -> PlannedLayer:
            there = layer.digest and registry.has_blob(layer.digest)
            return replace(layer, place="registry") if there else layer

        with ThreadPoolExecutor(max_workers=UPLOADS) as workers:
            return tuple(workers.map(looked_up, layers))

    def _base(self, spec: BuildSpec) -> BaseImage:
        """The base image, of the right Python. Raises ImageError."""
        base = self._bases.find(spec.base, spec.target)
        if base.python_home and base.python_version != spec.target.python_version:
            raise ImageError(
                f"the base image has Python {base.python_version}",
                why=f"the packages were resolved for Python {spec.target.python_version}",
                do="set python_version to the base image's, or choose another base_image",
                code="ST68",
            )
        return base

    @contextmanager
    def _maker(self, spec: BuildSpec, base: BaseImage) -> Iterator[LayerMaker]:
        found = bytecode.interpreter(spec.target.python_version)
        compilers = Compilers(found) if found else None
        try:
            yield LayerMaker(self.cache, self.files, compilers, base.python_home)
        finally:
            if compilers:
                compilers.close()

    def push(self, image: BuiltImage, destination: Destination, reporter: Reporter) -> ImageRef:
        """Put `image` there, sending only the layers that the repository does not have.

        Raises ImageError.
        """
        registry = RegistryClient(destination)
        if found := registry.find(image.tag):
            reporter.log(f"{destination.repository}:{image.tag} is there already")
            return found
        assembled = self._assembled(image)
        pushed = PushedLayers(self.cache.folder / "pushed", destination.repository)
        sender = Sender(
            registry,
            self._bases.client(assembled.base.repository),
            self.cache,
            pushed.elsewhere(),
            reporter,
        )
        known = pushed.read()
        try:
            digest = sender.send(assembled, image.tag, known)
        except ImageError:
            if not known:
                raise
            # A registry refuses a manifest when it no longer has what was pushed before.
            pushed.forget()
            digest = sender.send(assembled, image.tag)
        pushed.write(each.digest for each in assembled.all_layers)
        return ImageRef(
            destination.repository, digest, image.tag, image.architecture, assembled.size
        )

    def unpack(self, image: BuiltImage, reporter: Reporter) -> UnpackedImage:
        """`image` as a folder: the very layers that `push` sends. Raises ImageError."""
        assembled = self._assembled(image)
        config = json.loads(assembled.config)
        source = self._bases.client(assembled.base.repository)
        titles = [
            *(base_title(layer.digest) for layer in assembled.base.layers),
            *(layer.title for layer in assembled.layers),
        ]
        reads = [
            *(partial(source.read, layer.digest) for layer in assembled.base.layers),
            *(partial(read_layer, self.cache, layer) for layer in assembled.layers),
        ]
        packed = [
            PackedLayer(diff_id, title, read)
            for diff_id, title, read in zip(
                config["rootfs"]["diff_ids"], titles, reads, strict=True
            )
        ]
        with _on_disk(self.cache.folder):
            root = UnpackedLayers(self.cache.folder / "unpacked").image(packed, reporter)
        inner = config["config"]
        return UnpackedImage(
            root=str(root),
            command=(*inner["Entrypoint"], *inner["Cmd"]),
            environment=dict(each.split("=", 1) for each in inner["Env"]),
            working_dir=inner["WorkingDir"],
        )

    def _assembled(self, image: BuiltImage) -> AssembledImage:
        found = self._remembered(Path(image.reference))
        if found is None:
            raise ImageError(
                f"the layers of {image.tag} are gone",
                why="they were removed from the cache, or damaged there",
                do="run it again: they are made anew",
            )
        return found

    @property
    def _bases(self) -> BaseImages:
        return BaseImages(self.cache.folder, self.credentials)

    def _kept(self, tag: str) -> Path:
        return self.cache.folder / "images" / f"{tag}.json"

    def _remember(self, kept: Path, image: AssembledImage) -> None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=kept.parent, delete=False) as file:
            file.write(image.to_json())
        Path(file.name).replace(kept)

    def _remembered(self, kept: Path) -> AssembledImage | None:
        """The image, if all its layers are still in the cache."""
        try:
            found = AssembledImage.from_json(kept.read_text())
            for layer in found.layers:
                if self.cache.blob(layer.written.digest).stat().st_size != layer.written.size:
                    return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found


def refuse_what_needs_docker(spec: Spec) -> BuildSpec:
    """`spec`, unless something in it needs an engine. Raises ImageError with all of that."""
    if isinstance(spec, ProvidedSpec):
        raise ImageError(
            "a Dockerfile of your own needs Docker",
            why="`builder: layers` runs nothing",
            do="set `builder: docker`",
            where="container.provide_container",
            code="ST66",
        )
    findings = []
    if spec.system_packages:
        findings.append(
            Finding(
                f"system packages need Docker: {', '.join(spec.system_packages)}",
                why="apt-get has to run in the image, and `builder: layers` runs nothing",
                do="set `builder: docker`, or name a base_image that has them",
                where="system_packages",
                code="ST66",
            )
        )
    if spec.cuda:
        findings.append(
            Finding(
                f"CUDA {spec.cuda.version} of the system needs Docker",
                why="a package does not bring its CUDA with its wheel",
                do="set `builder: docker`, or name a base_image that has it",
                where="python_packages",
                code="ST66",
            )
        )
    if findings:
        raise ImageError.of(findings)
    return spec


@contextmanager
def _on_disk(folder: Path) -> Iterator[None]:
    """Turn "no space left on device" into an ImageError that names the folder."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ImageError(
            "the disk is full",
            where=str(folder),
            why="image layers are kept there, and there is no more room",
            do="free some room (what is in that folder may be removed), or set XDG_CACHE_HOME to a"
            " larger disk, then run it again: finished parts stay",
        ) from None
