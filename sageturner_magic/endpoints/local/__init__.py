"""Endpoints on this machine, in a process or in a container, on 127.0.0.1 only.

The plans deploy them. Their records lie in the user's state folder, where every process finds
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .container_deployer import ContainerDeployer as ContainerDeployer
    from .container_deployer import ServedByContainer as ServedByContainer
    from .deployer import LocalDeployer as LocalDeployer
    from .endpoints import LocalEndpoints as LocalEndpoints
    from .process_deployer import ProcessDeployer as ProcessDeployer
    from .process_deployer import ServedByProcess as ServedByProcess
    from .state import LocalRecord as LocalRecord
    from .state import LocalState as LocalState
else:
    __getattr__, __dir__ = face(__name__)
