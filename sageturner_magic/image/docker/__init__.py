"""Build images with a Docker engine. The plans and the builders use it."""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .builder import DockerBuilder
    from .engine import connect, engine_architecture
else:
    __getattr__, __dir__ = face(__name__)
