"""Name the system libraries that packages need and slim images do not have.

The plans and the local containers use it.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .debian import debian_packages
    from .missing import MissingLibraries, missing_libraries
else:
    __getattr__, __dir__ = face(__name__)
