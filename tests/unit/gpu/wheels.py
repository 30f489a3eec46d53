"""Real wheels' own metadata, fetched with tools/wheel_facts.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import Version

from sageturner_magic.gpu import ResolvedPackage

FACTS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("wheels.json").read_text(encoding="utf-8")
)["wheels"]

_REQUIRES = {(canonicalize_name(fact["name"]), fact["version"]): fact["requires"] for fact in FACTS}


def wheel(name: str, version: str, **more: Any) -> ResolvedPackage:
    """A package as it would be resolved, with the metadata of the real wheel."""
    return ResolvedPackage(
        name, version, tuple(_REQUIRES[canonicalize_name(name), version]), **more
    )


def versions(name: str) -> list[str]:
    """The versions of a package among the facts, oldest first."""
    return sorted((version for known, version in _REQUIRES if known == name), key=Version)
