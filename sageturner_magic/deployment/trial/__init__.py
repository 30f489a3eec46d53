"""Run load() and predict() once in a clean process before anything is deployed.

The plans and the verb `try` use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .process import Limits as Limits
    from .process import Trial as Trial
    from .process import check_module as check_module
    from .process import try_module as try_module
else:
    __getattr__, __dir__ = face(__name__)
