"""Read Python source: its trees, scopes, statements and calls, and write a module.

It looks at no live value. Only the `capture` room uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .rendering import KeptImport as KeptImport
    from .rendering import render_module as render_module
    from .safety import CALLABLE as CALLABLE
    from .safety import CHANGING_METHODS as CHANGING_METHODS
    from .safety import RECORD as RECORD
    from .safety import SETTINGS as SETTINGS
    from .safety import Judge as Judge
    from .safety import listed as listed
    from .scopes import BUILTINS as BUILTINS
    from .scopes import ScopeNames as ScopeNames
    from .scopes import names_of as names_of
    from .statements import Statement as Statement
    from .statements import statements_of as statements_of
    from .trees import FUNCTIONS as FUNCTIONS
    from .trees import Function as Function
    from .trees import walk as walk
else:
    __getattr__, __dir__ = face(__name__)
