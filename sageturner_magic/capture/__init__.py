"""Turn notebook cells, or a folder of code, into the module that serves a model.

`notebook` records cells and slices the statements that load() and predict() need. `code_folder`
reads a folder instead. `syntax`, `slicing` and `artefact` are its parts. The deployment and the
notebook use it. It knows no images and no endpoints.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .cells import Cell, failing_line
    from .checks import check_name
    from .code_folder import from_folder
    from .environment import environment_at_start, lost_variables, shown_secrets
    from .in_kernel import InKernel
    from .notebook import Notebook
else:
    __getattr__, __dir__ = face(__name__)
