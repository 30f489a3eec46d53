"""Generate typed client modules of endpoints. `endpoints.endpoint` uses it."""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .generate import client_module
else:
    __getattr__, __dir__ = face(__name__)
