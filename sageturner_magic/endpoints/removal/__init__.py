"""Find what belongs to endpoints on AWS and on this machine, and remove what nothing else uses.

The verbs `delete` and `teardown` use it, by the face of `endpoints`.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .remains import LeftOver, left_overs
    from .removing import (
        Removal,
        Say,
        removal_of_endpoint,
        removal_of_everything,
        removal_of_orphans,
        remove,
        tear_down,
    )
else:
    __getattr__, __dir__ = face(__name__)
