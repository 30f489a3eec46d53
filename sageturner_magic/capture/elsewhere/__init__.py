"""Find constants that are something else in another process than the notebook's.

`unordered` looks at live sets, `processes` runs constants again. Only the `capture` room uses it.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .constants import Reads, differing
    from .unordered import has_stable_order, holds_unordered, value_at
else:
    __getattr__, __dir__ = face(__name__)
