"""The events that a deployment emits. Every renderer reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from sageturner_magic.constants import EndpointType
from sageturner_magic.endpoints import Endpoint, Price, UsesEndpoint
from sageturner_magic.errors import Finding, SageturnerError

Outcome = Literal["done", "reused", "failed", "cancelled"]


@dataclass(frozen=True)
class StepTitle:
    """A step as it is announced: its key and what a person reads."""

    key: str
    title: str


@dataclass(frozen=True)
class Announced:
    """The steps that follow, in order; later ones replace earlier ones that did not start.

    `expected_s` is how many seconds the whole took the last time, where that is known.
    """

    steps: tuple[StepTitle, ...]
    expected_s: float | None = None


@dataclass(frozen=True)
class Found:
    """Warnings and notes that do not stop the deployment."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class StepStarted:
    """`at` is a reading of time.monotonic(), as in all events."""

    step: str
    at: float


@dataclass(frozen=True)
class StepProgressed:
    """See `Reporter.progress`."""

    step: str
    done: float
    total: float | None
    unit: str
    part: str = ""


@dataclass(frozen=True)
class StepLogged:
    step: str
    line: str


@dataclass(frozen=True)
class StepEnded:
    """`note` says in a few words what came of it."""

    step: str
    outcome: Outcome
    at: float
    note: str = ""


@dataclass(frozen=True)
class Deployment(UsesEndpoint):
    """A deployment that ended well, and the endpoint that serves it.

    Example:
        >>> digits = deploy("sageturner.yaml")
        >>> digits.invoke({"pixels": [0.0] * 64})["digit"]
        4
        >>> digits.delete()

    Attributes:
        version: 12 hex digits that name what is served.
        url: Address for HTTP clients; empty for SageMaker.
        token: What HTTP clients send as `Authorization: token …`; empty for SageMaker.
        header_file: A file with that header, which only the user may read; empty without a token.
        origin: The cells or directory that the code came from.
        seconds: How long it took.
        unchanged: Nothing had to be done.
        example: What example_request() gives, as JSON; empty where there is none that is known.
        outline: What predict() reads of a request, as JSON to be filled in; empty if not known.
        price: What it costs; None for a local endpoint, and where AWS does not tell.
        region, profile: Of SageMaker; empty for a local endpoint or the default profile.
        findings: Warnings and notes of its plan.
    """

    name: str
    endpoint_type: EndpointType
    version: str
    url: str
    token: str = field(repr=False)
    origin: str
    seconds: float
    unchanged: bool = False
    example: str = ""
    outline: str = ""
    price: Price | None = None
    region: str = ""
    profile: str = ""
    header_file: str = ""
    findings: tuple[Finding, ...] = field(default=(), repr=False)

    @cached_property
    def endpoint(self) -> Endpoint:
        """The endpoint, wherever it runs."""
        return Endpoint(
            self.name,
            profile=self.profile or None,
            region=self.region or None,
            endpoint_type=self.endpoint_type,
        )


@dataclass(frozen=True)
class Ended:
    """The last event. `error` is None when it ended well."""

    at: float
    deployment: Deployment | None
    error: SageturnerError | None


Event = Announced | Found | StepStarted | StepProgressed | StepLogged | StepEnded | Ended

Listener = Callable[[Event], None]
"""What is told of every event."""
