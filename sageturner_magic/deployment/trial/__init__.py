"""Run load() and predict() once in a clean process before anything is deployed.

The plans and the verb `try` use it.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .comparison import difference
    from .process import Limits, Trial, check_module, try_module
else:
    __getattr__, __dir__ = face(__name__)
