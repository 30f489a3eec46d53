"""Assemble images from layers, without Docker. The plans and the builders use it."""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .assembled import manifest_of
    from .builder import LayersBuilder, refuse_what_needs_docker
    from .maker import LayerPlace, PlannedLayer
    from .writer import LEVEL
else:
    __getattr__, __dir__ = face(__name__)
