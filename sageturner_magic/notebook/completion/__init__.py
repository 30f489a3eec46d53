"""Complete verbs, options, names and YAML keys. The magics and the form use it."""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .completer import matcher, shippable
    from .first_line import magic_first
else:
    __getattr__, __dir__ = face(__name__)
