"""Write the model files of an endpoint from variables, files, folders and archives.

The ingredients of a deployment use it.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .prepare import prepare_artefact, with_objects
    from .read_files import files_of
    from .remarks import artefact_remarks
    from .writers import WRITERS
else:
    __getattr__, __dir__ = face(__name__)
