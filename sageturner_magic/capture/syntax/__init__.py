"""Read Python source: its trees, scopes, statements and calls, and write a module.

It looks at no live value. Only the `capture` room uses it.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .binding import changed_by, fills_only_what_is_absent, surely_binds, writes
    from .hashing import in_functions, ordered_uses
    from .rendering import KeptImport, render_module
    from .safety import (
        CALLABLE,
        CHANGING_METHODS,
        FACTORIES,
        FACTORY,
        NOTEBOOKS_OWN,
        RECORD,
        SETTINGS,
        Judge,
        factory,
        listed,
    )
    from .scope_stack import ScopeNames
    from .scopes import BUILTINS, names_of
    from .statements import Statement, statements_of, written
    from .trees import FUNCTIONS, Function, declared_in, is_guarded, walk
else:
    __getattr__, __dir__ = face(__name__)
