"""Build images with a Docker engine. The plans and the builders use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .builder import DockerBuilder as DockerBuilder
    from .engine import connect as connect
    from .engine import engine_architecture as engine_architecture
else:
    __getattr__, __dir__ = face(__name__)
