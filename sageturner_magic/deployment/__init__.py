"""Turn a request into a plan of steps, and run the plan.

A `DeployRequest` becomes a `Plan` (see `plans`), which `run` executes; progress leaves it as
events. `trial` runs load() and predict() first. The verbs use it. It renders nothing.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .events import (
        Announced,
        Deployment,
        Event,
        Found,
        Listener,
        StepEnded,
        StepLogged,
        StepStarted,
    )
    from .image_packages import portable_lines
    from .ingredients import gather
    from .plan import Fact, Plan
    from .progress import Measure, Progress, StepProgress
    from .reference import with_reference, without_reference
    from .request import Collector, DeployRequest, NotebookCode, code_source
    from .run import DeploymentHandle, Handle, unexpected
    from .termination import EXIT_CODE, sigterm_interrupts
    from .trial_handle import TrialHandle
    from .tried import Tried, cannot_run_here, trial_figures, try_request
else:
    __getattr__, __dir__ = face(__name__)
