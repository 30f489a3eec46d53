"""Edit a configuration with widgets, and deploy it. The magics use it."""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .show import show_form
else:
    __getattr__, __dir__ = face(__name__)
