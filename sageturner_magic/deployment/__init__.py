"""Turn a request into a plan of steps, and run the plan.

A `DeployRequest` becomes a `Plan` (see `plans`), which `run` executes; progress leaves it as
events. `trial` runs load() and predict() first. The verbs use it. It renders nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .events import Announced as Announced
    from .events import Deployment as Deployment
    from .events import Event as Event
    from .events import Found as Found
    from .events import Listener as Listener
    from .events import StepEnded as StepEnded
    from .events import StepLogged as StepLogged
    from .events import StepStarted as StepStarted
    from .image_packages import portable_lines as portable_lines
    from .ingredients import gather as gather
    from .plan import Plan as Plan
    from .progress import Measure as Measure
    from .progress import Progress as Progress
    from .progress import StepProgress as StepProgress
    from .request import Collector as Collector
    from .request import DeployRequest as DeployRequest
    from .request import code_source as code_source
    from .run import DeploymentHandle as DeploymentHandle
    from .run import Handle as Handle
    from .run import unexpected as unexpected
    from .trial_handle import TrialHandle as TrialHandle
    from .tried import Tried as Tried
    from .tried import trial_figures as trial_figures
    from .tried import try_request as try_request
else:
    __getattr__, __dir__ = face(__name__)
