"""Run a trial in the background and report its progress."""

from __future__ import annotations

import platform
import time

from sageturner_magic.deployment.events import (
    Announced,
    Ended,
    Event,
    Listener,
    Outcome,
    StepTitle,
)
from sageturner_magic.deployment.progress import Progress
from sageturner_magic.deployment.reporter import StepReporter
from sageturner_magic.deployment.request import DeployRequest
from sageturner_magic.deployment.run import Handle, unexpected
from sageturner_magic.deployment.tried import Tried, try_request
from sageturner_magic.errors import DeploymentCancelled, SageturnerError
from sageturner_magic.scratch import scratch_folder
from sageturner_magic.values import Request

PREPARE = StepTitle("prepare", "Capture code and model")
STEPS = {
    "import": StepTitle("import", f"Import the code in a clean Python {platform.python_version()}"),
    "load": StepTitle("load", "Load the model"),
    "predict": StepTitle("predict", "Answer a request"),
}
"""Stage of the process -> its step; what comes before the process is `PREPARE`."""


class TrialHandle(Handle):
    """A trial that runs in a thread of its own: `watch()` it, then take its `result()`."""

    def __init__(
        self, asked: DeployRequest, sample: Request | None, listener: Listener | None = None
    ) -> None:
        super().__init__(
            Progress(asked.config.name, "Trying", "ready to deploy"),
            left="The trial was left before it had ended",
        )
        self._asked = asked
        self._sample = sample
        self._listener = listener
        self._tried: Tried | None = None
        self._start(self._work)

    def result(self) -> Tried:
        """What came of it. Raises what would fail where the model runs, or that it still runs."""
        if self._error:
            raise self._error
        if self._tried is None:
            raise SageturnerError(
                "The trial still runs", do="call `watch()` on the handle first", code="ST16"
            )
        return self._tried

    def _work(self) -> None:
        steps = StepReporter(self._tell, self._stop, "The trial was stopped")

        def entered(stage: str) -> None:
            # Making the example is a part of answering it.
            steps.enter("predict" if stage == "example" else stage)

        outcome: Outcome = "failed"
        self._tell(Announced((PREPARE, *STEPS.values())))
        steps.enter(PREPARE.key)
        try:
            with scratch_folder() as workspace:
                self._tried = try_request(self._asked, self._sample, workspace, steps, entered)
            outcome = "done"
        except DeploymentCancelled as error:
            self._error, outcome = error, "cancelled"
        except SageturnerError as error:
            self._error = error
        except Exception as error:
            self._error = unexpected(error)
        finally:
            steps.end(outcome)
            self._tell(Ended(time.monotonic(), None, self._error))

    def _tell(self, event: Event) -> None:
        self.progress.apply(event)
        if self._listener:
            self._listener(event)
