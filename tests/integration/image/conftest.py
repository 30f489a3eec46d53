"""A Docker engine's base images and a registry, once for the session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sageturner_magic.image.spec import BuildSpec, Destination
from sageturner_magic.packages.pip_arguments import parse_pip_arguments
from sageturner_magic.packages.requirements import Requirements, Target
from sageturner_magic.packages.resolution import resolve, server_arguments
from sageturner_magic.values import CapturedModule, Credentials, SourceFile
from tests.parts import kept_layers
from tests.parts.recorder import Recorder
from tests.parts.registry import Registry, registry

TARGET = Target("3.12")


@pytest.fixture(scope="session")
def base() -> str:
    """The stand-in for the default base image of Python 3.12."""
    return kept_layers.keep("3.12")


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def destination(served: Registry) -> Destination:
    return Destination(
        f"{served.host}/sageturner-sagemaker", lambda: Credentials(served.user, served.password)
    )


@pytest.fixture(scope="session")
def server_requirements() -> Requirements:
    return resolve(server_arguments(), TARGET, Recorder())


@pytest.fixture
def make_spec(server_requirements: Requirements, tmp_path: Path):  # type: ignore[no-untyped-def]
    """A function: (name, pip entries, source, other fields of BuildSpec) -> BuildSpec."""

    def make(name: str, *entries: str, source: str = "", **fields: object) -> BuildSpec:
        source = source or f"# {name}\ndef load():\n    return 1\n"
        module = CapturedModule("In[1]", (SourceFile("sageturner.py", source.encode()),))
        requirements = resolve(parse_pip_arguments(entries, tmp_path), TARGET, Recorder())
        return BuildSpec(name, module, requirements, server_requirements, **fields)  # type: ignore[arg-type]

    return make
