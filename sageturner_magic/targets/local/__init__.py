"""The local target: the model server as a process of this machine, on 127.0.0.1 only."""

from sageturner_magic.targets.local.deploy import LocalDeployer, LocalSpec
from sageturner_magic.targets.local.state import LocalRecord, LocalState
from sageturner_magic.targets.local.target import LocalTarget, with_cells

__all__ = [
    "LocalDeployer",
    "LocalRecord",
    "LocalSpec",
    "LocalState",
    "LocalTarget",
    "with_cells",
]
