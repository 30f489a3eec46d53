"""What SageMaker knows: models, endpoint configurations, endpoints and their tags."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.stand.actions import sagemaker_arn
from tests.stand.sagemaker.containers import Container

Kind = Literal["model", "endpoint-config", "endpoint"]


@dataclass
class Record:
    """A model or an endpoint configuration: its name and the request that made it."""

    name: str
    arn: str
    request: dict[str, Any]
    created: float = field(default_factory=time.time)


@dataclass
class Variant:
    """A production variant that takes traffic.

    Attributes:
        settings: Its part of the endpoint configuration.
        image: As the model names it.
        resolved: The image by digest.
        container: What serves it.
        folder: Its model data on this machine.
    """

    settings: dict[str, Any]
    image: str
    resolved: str
    container: Container
    folder: Path


@dataclass
class Endpoint:
    """An endpoint, and the update of it that is under way.

    Attributes:
        config: Name of the configuration that takes traffic.
        pending: Name of the configuration that an update brings up.
        pending_status: The variants' status in that update.
    """

    name: str
    arn: str
    config: str
    request: dict[str, Any]
    region: str
    status: str = "Creating"
    reason: str = ""
    created: float = field(default_factory=time.time)
    modified: float = field(default_factory=time.time)
    variants: list[Variant] = field(default_factory=list)
    pending: str = ""
    pending_status: str = ""
    pending_since: float = 0
    weights: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def weight(self, variant: Variant) -> float:
        """The variant's share of the traffic, relative to the others'."""
        settings = variant.settings
        initial = settings.get("InitialVariantWeight", 1.0)
        return float(self.weights.get(settings["VariantName"], initial))

    def become(self, status: str, reason: str | None = None) -> None:
        self.status = status
        if reason is not None:
            self.reason = reason[:1024]
        self.modified = time.time()


class Store:
    """One region's resources. `lock` is held around every change."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.lock = threading.RLock()
        self.models: dict[str, Record] = {}
        self.configs: dict[str, Record] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.tags: dict[str, dict[str, str]] = {}

    def arn(self, kind: Kind, name: str) -> str:
        return sagemaker_arn(self.region, kind, name)

    def tag(self, arn: str, tags: list[dict[str, str]]) -> None:
        self.tags.setdefault(arn, {}).update({tag["Key"]: tag["Value"] for tag in tags})

    def tags_of(self, arn: str) -> Mapping[str, str]:
        return self.tags.get(arn, {})

    def holds(self, arn: str) -> bool:
        records = [*self.models.values(), *self.configs.values()]
        endpoints = self.endpoints.values()
        return arn in [item.arn for item in records] + [item.arn for item in endpoints]
