"""The magics: what a person types and sees in a notebook.

`form`, `display` and `completion` are its parts. Only the package's `load_ipython_extension` uses
it. No other room knows IPython and ipywidgets.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .extension import load, unload
else:
    __getattr__, __dir__ = face(__name__)
