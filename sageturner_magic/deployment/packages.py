"""Which Python and which packages an image gets."""

from __future__ import annotations

import sys
from pathlib import Path

from sageturner_magic.capture.requirements import needed_packages
from sageturner_magic.config import Config
from sageturner_magic.deployment.request import DeployRequest, NotebookCode
from sageturner_magic.image.pip_arguments import PipArguments, parse
from sageturner_magic.values import Artefact, CapturedModule

DEFAULT_PYTHON = "3.12"
"""Outside a notebook, where the configuration names none."""


def package_lines(
    config: Config, module: CapturedModule, artefact: Artefact | None, staging: Path
) -> tuple[str, ...]:
    """Pieces of a pip command line: the configuration's, or what code and artefact need.

    Args:
        staging: A folder for wheels of editable installs, kept until the image is built.

    Raises:
        CaptureError: Something is needed that no installer can get.
    """
    wanted = config.container.generate_container.python_packages
    if wanted != "auto":
        return tuple(wanted)
    return tuple(each.line for each in needed_packages(module, artefact, staging))


def pip_arguments(config: Config, lines: tuple[str, ...]) -> PipArguments:
    """What `package_lines` gave, read as pip would.

    Raises:
        ImageError: Entries that are not understood, located by their index.
    """
    return parse(lines, config.resolve("."), "container.generate_container.python_packages")


def python_version(request: DeployRequest) -> str:
    """The image's Python: the configured one, in a notebook the kernel's."""
    wanted = request.config.container.generate_container.python_version
    if wanted is not None:
        return wanted
    if isinstance(request.code, NotebookCode):
        return f"{sys.version_info[0]}.{sys.version_info[1]}"
    return DEFAULT_PYTHON
