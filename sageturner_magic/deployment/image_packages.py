"""Resolve packages for an image, and make the lines of a pip command portable.

Knows neither the code nor the configuration.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sageturner_magic import packages
from sageturner_magic.errors import CaptureError, ImageError
from sageturner_magic.packages import PipArguments, Requirements, SourceBuilder, Target, resolve
from sageturner_magic.packages.needed import by_conda
from sageturner_magic.scratch import scratch_folder
from sageturner_magic.values import Reporter

PYTORCH = "download.pytorch.org"
"""Where PyTorch keeps the builds that the default index does not have."""

_EXACT_BUILD = re.compile(r"torch\w*==[^+]+\+").match


def portable_lines(lines: tuple[str, ...], folder: Path, reporter: Reporter) -> list[str]:
    """`lines` for another machine: projects and wheels of this one are put into `folder`.

    `folder` is made where it is needed, and named relative to its parent.

    Raises:
        ImageError: A project cannot be built into a wheel.
    """
    found = []
    for line in lines:
        words = shlex.split(line)
        path = Path(words[0])
        if len(words) > 1 or not path.is_absolute():
            found.append(line)
            continue
        settings = packages.pip_configuration()
        arguments = packages.with_machine_settings(PipArguments(), settings, os.environ)
        folder.mkdir(exist_ok=True)
        with scratch_folder() as store:
            environment = packages.resolver_environment(settings)
            wheel = SourceBuilder(store, environment, reporter).wheel(path, arguments)
            shutil.copyfile(wheel, folder / wheel.name)
        found.append(f"./{folder.name}/{wheel.name}")
    return found


def resolved(arguments: PipArguments, target: Target, reporter: Reporter) -> Requirements:
    """As `resolve`, also where PyTorch's own index is out of reach, and with a word on conda.

    The builds that a notebook has are asked for with PyTorch's index. Behind a firewall they come
    from an index or a folder that this machine is configured for: as they are named to the exact
    build, nothing else can be taken for them.

    Raises:
        CaptureError: conda installed a package that no index has at that version.
        ImageError: There is no answer for another reason.
    """
    try:
        return resolve(arguments, target, reporter)
    except ImageError as error:
        others = tuple(each for each in arguments.extra_indexes if each.host != PYTORCH)
        if others != arguments.extra_indexes and any(map(_EXACT_BUILD, arguments.requirements)):
            reporter.log(f"{PYTORCH} does not respond: looking for the same builds elsewhere")
            with suppress(ImageError):
                return resolve(replace(arguments, extra_indexes=others), target, reporter)
        said = error.report()
        for text in arguments.requirements:
            name, _, version = text.partition("==")
            if version and _is_condas(name) and re.search(rf"\b{re.escape(name)}\b", said):
                raise CaptureError(
                    f"`{name}` {version} was installed by conda, and pip cannot install it",
                    where="python_packages",
                    why=error.findings[0].what,
                    do=f"run `pip install {name}` in the notebook's environment, or list a"
                    " version that an index has under `python_packages`",
                    details=said,
                    code="ST62",
                ) from None
        raise


def _is_condas(name: str) -> bool:
    try:
        return by_conda(importlib.metadata.distribution(name))
    except importlib.metadata.PackageNotFoundError:
        return False
