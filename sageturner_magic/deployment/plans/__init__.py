"""Plan a deployment: to a local process, a container, or SageMaker.

The verbs use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .container import plan_container as plan_container
    from .images import automatic_packages as automatic_packages
    from .images import preview_dockerfile as preview_dockerfile
    from .local import plan_local as plan_local
    from .rollback import plan_rollback as plan_rollback
    from .sagemaker import plan_sagemaker as plan_sagemaker
    from .verification import verified as verified
else:
    __getattr__, __dir__ = face(__name__)
