"""From a notebook, or a folder of code, to the module that serves a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sageturner_magic.capture.artefact.prepare import prepare_artefact
    from sageturner_magic.capture.cells import Cell
    from sageturner_magic.capture.code_folder import from_folder
    from sageturner_magic.capture.notebook import Captured, CapturedCell, Notebook
    from sageturner_magic.deployment.trial.process import Limits, Trial, check_module, try_module
    from sageturner_magic.packages.needed.needed import NeededPackage, needed_packages

__all__ = [
    "Captured",
    "CapturedCell",
    "Cell",
    "Limits",
    "NeededPackage",
    "Notebook",
    "Trial",
    "check_module",
    "from_folder",
    "needed_packages",
    "prepare_artefact",
    "try_module",
]

_HOMES = {
    "Captured": "notebook",
    "CapturedCell": "notebook",
    "Cell": "cells",
    "Limits": "trial",
    "NeededPackage": "requirements",
    "Notebook": "notebook",
    "Trial": "trial",
    "check_module": "trial",
    "from_folder": "folder",
    "needed_packages": "requirements",
    "prepare_artefact": "artefact",
    "try_module": "trial",
}


def __getattr__(name: str) -> object:
    # Loading the extension must cost next to nothing, so each name loads only its own module.
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
