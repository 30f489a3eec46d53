"""Try load() and predict() before anything is deployed."""

from __future__ import annotations

from enum import Enum

from sageturner_magic.calls import followed
from sageturner_magic.config import ConfigSource
from sageturner_magic.constants import EndpointType
from sageturner_magic.deployment import (
    Listener,
    TrialHandle,
    Tried,
    with_reference,
    without_reference,
)
from sageturner_magic.endpoints import encode
from sageturner_magic.verbs.requested import config_of, live_model, request_for
from sageturner_magic.verbs.verb import after, finish


class _Given(Enum):
    """What stands for an argument that was left out, where None is a value."""

    EXAMPLE = "what example_request() returns"


EXAMPLE = _Given.EXAMPLE


def start_trial(
    payload: object = EXAMPLE,
    config: ConfigSource | None = None,
    *,
    name: str | None = None,
    content_type: str | None = None,
    model: object = None,
    example: object = None,
    compare: bool = True,
    listener: Listener | None = None,
) -> TrialHandle:
    """Begin what `try_` does in a thread of its own, which tells how far it is.

    Args:
        payload: The request, as `invoke` takes it; by default what example_request() returns.
        name: The captured name, where there is no configuration.
        content_type: Media type of the request; JSON unless the payload is bytes.
        model, example: As for `deploy`.
        compare: Call predict() in the notebook too, and warn of another response.
        listener: Called with each event, on the trial's thread.

    Raises:
        SageturnerError: The configuration or the payload cannot be used.
    """
    sample = None if payload is EXAMPLE else encode(payload, content_type)
    found = config_of(config, name, otherwise="model")
    compute = found.compute
    kind: EndpointType = "serverless" if compute.serverless and not compute.server else "local"
    asked = request_for(found, kind, "generate", model=live_model(model, example))
    asked = with_reference(asked, sample) if compare else without_reference(asked)
    return TrialHandle(asked, sample, listener)


@after(start_trial)
def try_(trial: TrialHandle) -> Tried:
    """Run load() and predict() now, in a clean process with only the code and the artefact.

    Raises:
        SageturnerError: What would fail where the model runs, with the cell's line.
    """
    return finish(trial)


atry = followed(try_, start_trial, "atry")
