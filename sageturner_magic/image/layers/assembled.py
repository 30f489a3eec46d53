"""Describe an image as layers and a configuration, in the formats of registries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sageturner_magic.image import dockerfile
from sageturner_magic.image.layers.maker import Layer
from sageturner_magic.image.layers.writer import Written
from sageturner_magic.image.registry import DOCKER_MANIFEST, BaseImage, BaseLayer, split_reference
from sageturner_magic.image.spec import BuildSpec

_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_CONFIG = "application/vnd.docker.container.image.v1+json"


@dataclass(frozen=True)
class AssembledImage:
    """An image as a list of layers.

    Attributes:
        base: What it stands on.
        layers: Its own, from the bottom.
        config: Its configuration, as it is stored.
    """

    base: BaseImage
    layers: tuple[Layer, ...]
    config: str

    @classmethod
    def of(cls, spec: BuildSpec, base: BaseImage, layers: Sequence[Layer]) -> AssembledImage:
        """The image that `spec` describes, of those layers."""
        return cls(base, tuple(layers), _config(spec, base, layers))

    @classmethod
    def from_json(cls, text: str) -> AssembledImage:
        """What `to_json` has made. Raises ValueError, KeyError and TypeError."""
        read: dict[str, Any] = json.loads(text)
        base = read["base"]
        base_layers = tuple(BaseLayer(**layer) for layer in base["layers"])
        return cls(
            BaseImage(base["repository"], base["digest"], base_layers, base["config"]),
            tuple(
                Layer(layer["title"], Written.from_json(layer["written"]))
                for layer in read["layers"]
            ),
            read["config"],
        )

    def to_json(self) -> str:
        """Everything that there is to know of it, to be kept."""
        return json.dumps(asdict(self))

    @property
    def all_layers(self) -> tuple[BaseLayer, ...]:
        """Digests and sizes of all layers, from the bottom."""
        own = (
            BaseLayer(f"sha256:{each.written.digest}", each.written.size) for each in self.layers
        )
        return (*self.base.layers, *own)

    @property
    def size(self) -> int:
        """Compressed bytes of all layers."""
        return sum(layer.size for layer in self.all_layers)

    def manifest(self) -> bytes:
        """As a registry stores it."""
        config = self.config.encode()
        return manifest_of(BaseLayer(digest_of(config), len(config)), self.all_layers)


def manifest_of(config: BaseLayer, layers: Sequence[BaseLayer]) -> bytes:
    """The Docker schema 2 manifest of a configuration and layers, all of them in a registry."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": _described(config, _CONFIG),
        "layers": [_described(layer, _LAYER) for layer in layers],
    }
    return json.dumps(manifest, indent=2).encode()


def _described(blob: BaseLayer, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "size": blob.size, "digest": blob.digest}


def digest_of(content: bytes) -> str:
    """`sha256:…` of `content`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _config(spec: BuildSpec, base: BaseImage, layers: Sequence[Layer]) -> str:
    """The image's configuration: the base's, with what the Dockerfile would have added."""
    config = json.loads(json.dumps(base.config))
    for unwanted in ("container", "container_config", "id", "parent", "docker_version"):
        config.pop(unwanted, None)
    inner = config.setdefault("config", {})
    added = dockerfile.environment(spec)
    added["PATH"] = f"{dockerfile.BIN}:{base.path}"
    kept = [each for each in inner.get("Env") or () if each.partition("=")[0] not in added]
    inner["Env"] = [*kept, *(f"{name}={text}" for name, text in added.items())]
    inner["Labels"] = {
        **(inner.get("Labels") or {}),
        **dockerfile.labels(spec),
        "sageturner.base": f"{split_reference(spec.base)[0]}@{base.digest}",
    }
    inner["Entrypoint"] = list(dockerfile.ENTRYPOINT)
    inner["Cmd"] = list(dockerfile.COMMAND)
    inner["WorkingDir"] = dockerfile.PROGRAM
    inner["ExposedPorts"] = {**(inner.get("ExposedPorts") or {}), "8080/tcp": {}}
    inner.pop("Image", None)
    config["rootfs"] = {
        "type": "layers",
        "diff_ids": [
            *config["rootfs"]["diff_ids"],
            *(f"sha256:{layer.written.diff_id}" for layer in layers),
        ],
    }
    # The base's own time: an image of the same inputs is the same image.
    created = config.get("created", "1980-01-01T00:00:00Z")
    config["history"] = [
        *(config.get("history") or ()),
        *(
            {"created": created, "created_by": f"sageturner-magic: {layer.title}"}
            for layer in layers
        ),
    ]
    config["architecture"], config["os"] = spec.target.architecture, "linux"
    return json.dumps(config, sort_keys=True)
