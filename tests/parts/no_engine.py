"""What a machine without a Docker engine has: a registry with base images that it can reach."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts import base_image
from tests.parts.registry import registry


@dataclass(frozen=True)
class NoEngine:
    """A registry with a base image, and no engine.

    Attributes:
        base: The base image's reference.
        environment: For a process: no engine in reach, and the registry's password.
    """

    base: str
    environment: dict[str, str]


@contextmanager
def no_engine(folder: Path, python_version: str) -> Iterator[NoEngine]:
    """Such a machine, for as long as the block runs. An engine makes the base image."""
    with registry(folder / "registry") as served:
        base = base_image.push(python_version, served)
        config = folder / "docker-config"
        config.mkdir()
        account = base64.b64encode(f"{served.user}:{served.password}".encode()).decode()
        (config / "config.json").write_text(json.dumps({"auths": {served.host: {"auth": account}}}))
        nowhere = f"unix://{folder}/no-engine.sock"
        yield NoEngine(base, {"DOCKER_HOST": nowhere, "DOCKER_CONFIG": str(config)})
