"""The local target: the model server as a process of this machine, on 127.0.0.1 only."""

from sageturner_magic.targets.local.deploy import ProcessDeployer, ServedByProcess
from sageturner_magic.targets.local.deployer import LocalDeployer
from sageturner_magic.targets.local.state import LocalRecord, LocalState
from sageturner_magic.targets.local.target import LocalTarget

__all__ = [
    "LocalDeployer",
    "LocalRecord",
    "LocalState",
    "LocalTarget",
    "ProcessDeployer",
    "ServedByProcess",
]
