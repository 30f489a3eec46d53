"""Read and write images in registries. The builders and the GPU fit use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .base_images import BaseImage as BaseImage
    from .base_images import BaseImages as BaseImages
    from .base_images import BaseLayer as BaseLayer
    from .base_images import split_reference as split_reference
    from .base_images import stored_credentials as stored_credentials
    from .client import DOCKER_MANIFEST as DOCKER_MANIFEST
    from .client import RegistryClient as RegistryClient
    from .contents import read_file as read_file
else:
    __getattr__, __dir__ = face(__name__)
