"""Choose the statements that a module needs, and refuse what a module cannot repeat.

`slice` walks the history of the cells. `liveness`, `staleness` and `scratch` compare the live
values with what the source makes. Only the `capture` room uses it.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .imports import last_imports
    from .kept import literal_of
    from .liveness import definition_is
    from .slice import slice_of
else:
    __getattr__, __dir__ = face(__name__)
