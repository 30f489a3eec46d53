"""What every kind of endpoint can do, wherever its model runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from sageturner_magic.constants import EndpointType
from sageturner_magic.endpoints.prediction import Prediction, PredictionStream
from sageturner_magic.endpoints.usage import Usage
from sageturner_magic.values import Attempt, Request

Send = Callable[[], Attempt]
"""Send a request once, without a retry. Failures of the endpoint are counted, never raised.

May be called from several threads.
"""


@dataclass(frozen=True)
class Price:
    """What an endpoint costs in US dollars; None where that is not known.

    Attributes:
        hour: Each hour, called or not.
        busy_second: Each second that a request takes, on top of that.
    """

    hour: float | None
    busy_second: float | None


@dataclass(frozen=True)
class EndpointDescription:
    """An endpoint as `list` and `status` show it.

    Attributes:
        status: SageMaker's EndpointStatus; a local server that has ended is `OutOfService`.
        version: 12 hex digits that name what it runs.
        created: Seconds since the epoch.
        origin: The cells or directory its code came from; empty where that is not known.
        url: Address for HTTP clients; empty for SageMaker.
        cost_per_hour: US dollars while nobody calls it; None where it is not known.
        ends: When its lease ends, in seconds since the epoch; None where it has none, or where
            its end cannot be read.
        detail: One line on what is special (why it failed, whose process it ends with).
    """

    name: str
    endpoint_type: EndpointType
    status: str
    version: str
    created: float
    origin: str
    url: str
    cost_per_hour: float | None
    detail: str = ""
    ends: float | None = None


class EndpointKind(Protocol):
    """Endpoints of one kind. Every method raises EndpointError for a name that is not there."""

    def list(self) -> list[EndpointDescription]:
        """All endpoints of this kind, sorted by name."""

    def describe(self, name: str) -> EndpointDescription:
        """One endpoint."""

    def logs(self, name: str) -> Iterator[str]:
        """The lines that its servers wrote so far, oldest first, without line ends."""

    def follow(self, name: str) -> Iterator[str]:
        """The same, and then new lines as they come, until its server ends."""

    def invoke(self, name: str, request: Request) -> Prediction:
        """Send one request and wait for the response. Raises InvocationError."""

    def invoke_stream(self, name: str, request: Request) -> PredictionStream:
        """Send one request and read the response as it arrives.

        Raises InvocationError, also in the middle of the response.
        """

    def sender(self, name: str, request: Request, connections: int) -> Send:
        """A function that sends this request once per call, over up to `connections`."""

    def example_request(self, name: str) -> object:
        """What the code's example_request() gave, or None."""

    def price(self, name: str) -> Price:
        """What the endpoint costs."""

    def usage(self, name: str, hours: float) -> Usage:
        """How it was used in the last `hours`. Raises AwsError where AWS does not tell."""

    def delete(self, name: str) -> None:
        """End and remove the endpoint; finishes what an interrupted delete began."""
