"""Complete verbs, options, names and YAML keys. The magics and the form use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .completer import matcher as matcher
    from .completer import shippable as shippable
    from .first_line import magic_first as magic_first
else:
    __getattr__, __dir__ = face(__name__)
