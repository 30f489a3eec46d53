"""The local target: the model server as a process of this machine, on 127.0.0.1 only."""

from sageturner_magic.endpoints.local.deployer import LocalDeployer
from sageturner_magic.endpoints.local.endpoints import LocalEndpoints
from sageturner_magic.endpoints.local.process_deployer import ProcessDeployer, ServedByProcess
from sageturner_magic.endpoints.local.state import LocalRecord, LocalState

__all__ = [
    "LocalDeployer",
    "LocalEndpoints",
    "LocalRecord",
    "LocalState",
    "ProcessDeployer",
    "ServedByProcess",
]
