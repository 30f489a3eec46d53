"""Which Python and which packages an image gets."""

from __future__ import annotations

import sys
from importlib import metadata

from sageturner_magic.config import Config
from sageturner_magic.deployment.request import DeployRequest, NotebookCode
from sageturner_magic.image.pip_arguments import PipArguments, parse
from sageturner_magic.values import CapturedModule

DEFAULT_PYTHON = "3.12"
"""Outside a notebook, where the configuration names none."""


def pinned_imports(module: CapturedModule) -> list[str]:
    """`name==version` for each distribution that the code imports, at this process's versions."""
    distributions = metadata.packages_distributions()
    names = {name for package in module.imports for name in distributions.get(package, ())}
    return sorted(f"{name}=={metadata.version(name)}" for name in names)


def pip_arguments(config: Config, module: CapturedModule) -> PipArguments:
    """What `python_packages` asks for; `auto` is `pinned_imports`.

    Raises:
        ImageError: Entries that are not understood, located by their index.
    """
    wanted = config.container.generate_container.python_packages
    entries = pinned_imports(module) if wanted == "auto" else wanted
    return parse(entries, config.resolve("."), "container.generate_container.python_packages")


def python_version(request: DeployRequest) -> str:
    """The image's Python: the configured one, in a notebook the kernel's."""
    wanted = request.config.container.generate_container.python_version
    if wanted is not None:
        return wanted
    if isinstance(request.code, NotebookCode):
        return f"{sys.version_info[0]}.{sys.version_info[1]}"
    return DEFAULT_PYTHON
