"""Find the packages that a module's code and its model files need.

The deployment and the form use it; `capture` reads imports with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .distributions import by_conda as by_conda
    from .distributions import providers as providers
    from .imports import Import as Import
    from .imports import ImportedName as ImportedName
    from .imports import imported_names as imported_names
    from .needed import NeededPackage as NeededPackage
    from .needed import needed_packages as needed_packages
    from .pickles import modules_in as modules_in
else:
    __getattr__, __dir__ = face(__name__)
