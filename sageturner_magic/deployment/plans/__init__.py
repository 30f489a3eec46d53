"""Plan a deployment: to a local process, a container, or SageMaker.

The verbs use it.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .container import plan_container
    from .images import automatic_packages, preview_dockerfile
    from .local import plan_local
    from .rollback import plan_rollback
    from .sagemaker import plan_sagemaker
    from .verification import verified
else:
    __getattr__, __dir__ = face(__name__)
