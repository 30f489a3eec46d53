"""The plan of a deployment: its steps, decided and checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sageturner_magic.constants import EndpointType
from sageturner_magic.deployment.events import Deployment
from sageturner_magic.deployment.ingredients import Ingredients
from sageturner_magic.errors import Finding
from sageturner_magic.image.layers import PlannedLayer
from sageturner_magic.packages import Requirements
from sageturner_magic.values import Reporter


@dataclass(frozen=True)
class Done:
    """What came of a step: `note` in a few words, `reused` when there was nothing to do."""

    note: str = ""
    reused: bool = False


@dataclass(frozen=True)
class Step:
    """One piece of work.

    Attributes:
        key: Short and unique within the plan.
        needs: Keys of the steps that must have ended before this one starts.
        run: Does it; called at most once, on any thread. May raise SageturnerError.
    """

    key: str
    title: str
    run: Callable[[Reporter], Done]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fact:
    """A line of a plan for people: `Code: In[3], In[4]`."""

    label: str
    value: str


@dataclass(frozen=True)
class Plan:
    """What a deployment will do.

    Attributes:
        version: 12 hex digits that name what will be served.
        facts: What is shown of it, in order.
        findings: Warnings and notes; errors are raised before there is a plan.
        steps: In an order in which every step comes after those that it needs.
        lock: Entered around the steps; undoes on failure what they did.
        result: Called once all steps have ended; makes the deployment known.
        ingredients: What is deployed; None if an endpoint goes back to an earlier version.
        dockerfile: What an image would be built from; empty where there is none.
        layers: Of an image that is assembled from layers, once they were looked up.
        look_up_layers: Finds them; needs the registry, and the workspace of the plan.
        requirements: What the image gets; None where there is no image.
        expected_s: How long the deployment of the version before took, in seconds; None where
            there was none.
    """

    name: str
    endpoint_type: EndpointType
    version: str
    facts: tuple[Fact, ...]
    findings: tuple[Finding, ...]
    steps: tuple[Step, ...]
    lock: Callable[[], AbstractContextManager[None]]
    result: Callable[[], Deployment]
    ingredients: Ingredients | None = None
    dockerfile: str = ""
    layers: tuple[PlannedLayer, ...] = ()
    look_up_layers: Callable[[], tuple[PlannedLayer, ...]] = tuple
    requirements: Requirements | None = None
    expected_s: float | None = None
