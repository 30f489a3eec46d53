"""Assemble images from layers, without Docker. The plans and the builders use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .assembled import manifest_of as manifest_of
    from .builder import LayersBuilder as LayersBuilder
    from .builder import refuse_what_needs_docker as refuse_what_needs_docker
    from .maker import LayerPlace as LayerPlace
    from .maker import PlannedLayer as PlannedLayer
    from .writer import LEVEL as LEVEL
else:
    __getattr__, __dir__ = face(__name__)
