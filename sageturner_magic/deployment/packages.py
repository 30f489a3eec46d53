"""Which Python packages an image gets."""

from __future__ import annotations

from importlib import metadata

from sageturner_magic.config import Config
from sageturner_magic.values import CapturedModule


def package_entries(config: Config, module: CapturedModule) -> tuple[str, ...]:
    """Pieces of a pip command line: the configuration's, or what the code imports."""
    written = config.container.generate_container.python_packages
    return pinned_imports(module) if written == "auto" else tuple(written)


def pinned_imports(module: CapturedModule) -> tuple[str, ...]:
    """`name==version` for each distribution that the code imports, at this process's versions."""
    distributions = metadata.packages_distributions()
    names = {name for package in module.imports for name in distributions.get(package, ())}
    return tuple(sorted(f"{name}=={metadata.version(name)}" for name in names))
