"""Find the packages that a module's code and its model files need.

The deployment and the form use it; `capture` reads imports with it.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .distributions import by_conda, providers
    from .imports import Import, ImportedName, imported_names
    from .needed import NeededPackage, imports_in, needed_packages
    from .pickles import modules_in, notebook_names_in, scikit_learn_of
else:
    __getattr__, __dir__ = face(__name__)
