"""Run images on this machine by SageMaker's container contract.

`runner` starts one container as SageMaker does. `sandbox` runs an unpacked image without Docker.
`keeper` is the process that holds a container, and `kept` is its owner's side. `smoke` checks
that an image keeps the contract. The local endpoints and the plans use it.

The contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .kept import Kept, cut, end, forget, keep, ping, read_spec, read_state, wait_ready
    from .runner import (
        ContainerSpec,
        exit_reason,
        has_image,
        local_engine,
        remove_containers,
        remove_image,
    )
    from .sandbox import MEMORY_SECONDS, WRITABLE, require_sandbox, sandbox_architecture
    from .smoke import smoke_test
else:
    __getattr__, __dir__ = face(__name__)
