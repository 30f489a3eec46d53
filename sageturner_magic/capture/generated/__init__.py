"""Write load() and predict() for a live object of the notebook, as a person would.

`kinds` finds what the object is; the modules beside it know one family of libraries each and
return `code.Generated`. Only the `capture` room uses it.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .candidates import servable
    from .cells import GeneratedLine, GeneratedPair, editable, generated_pair
else:
    __getattr__, __dir__ = face(__name__)
