"""Endpoints on this machine, in a process or in a container, on 127.0.0.1 only.

The plans deploy them. Their records lie in the user's state folder, where every process finds
them.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .container_deployer import ContainerDeployer, ServedByContainer
    from .deployer import LocalDeployer, Served
    from .earlier import EarlierContainer, EarlierProcess, read_earlier
    from .endpoints import LocalEndpoints
    from .process_deployer import ProcessDeployer, ServedByProcess
    from .record import LocalRecord
    from .state import LocalState, write_private
else:
    __getattr__, __dir__ = face(__name__)
