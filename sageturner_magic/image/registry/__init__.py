"""Read and write images in registries. The builders and the GPU fit use it."""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .base_images import (
        BaseCredentials,
        BaseImage,
        BaseImages,
        BaseLayer,
        split_reference,
        stored_credentials,
    )
    from .client import DOCKER_MANIFEST, Read, RegistryClient
    from .contents import read_file
else:
    __getattr__, __dir__ = face(__name__)
