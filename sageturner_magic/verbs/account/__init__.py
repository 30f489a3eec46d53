"""The verbs for an AWS account: set up, show policies, store secrets, remove, check.

The table of the verbs names their functions; `rendering/` shows their results.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .offers import Changes, Offer
    from .opened import given_config
    from .printed_policies import Policies
    from .removing import PlannedRemoval, adelete, ateardown, delete, teardown
    from .secrets import asecret, secret
    from .setting_up import asetup, setup
else:
    __getattr__, __dir__ = face(__name__)
