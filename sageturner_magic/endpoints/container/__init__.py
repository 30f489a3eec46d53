"""Run images on this machine by SageMaker's container contract.

`runner` starts one container as SageMaker does. `sandbox` runs an unpacked image without Docker.
`keeper` is the process that holds a container, and `kept` is its owner's side. `smoke` checks
that an image keeps the contract. The local endpoints and the plans use it.

The contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .kept import Kept as Kept
    from .kept import cut as cut
    from .kept import end as end
    from .kept import forget as forget
    from .kept import keep as keep
    from .kept import ping as ping
    from .kept import read_state as read_state
    from .kept import wait_ready as wait_ready
    from .runner import ContainerSpec as ContainerSpec
    from .runner import exit_reason as exit_reason
    from .runner import local_engine as local_engine
    from .runner import remove_containers as remove_containers
    from .runner import remove_image as remove_image
    from .sandbox import MEMORY_SECONDS as MEMORY_SECONDS
    from .sandbox import WRITABLE as WRITABLE
    from .sandbox import require_sandbox as require_sandbox
    from .sandbox import sandbox_architecture as sandbox_architecture
    from .smoke import smoke_test as smoke_test
else:
    __getattr__, __dir__ = face(__name__)
