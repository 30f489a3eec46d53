"""From a notebook, or a folder of code, to the module that serves a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sageturner_magic.capture.artefact import prepare_artefact
    from sageturner_magic.capture.cells import Cell
    from sageturner_magic.capture.folder import from_folder
    from sageturner_magic.capture.notebook import Captured, CapturedCell, Notebook
    from sageturner_magic.capture.requirements import NeededPackage, needed_packages
    from sageturner_magic.capture.verify import check_module, user_frames

__all__ = [
    "Captured",
    "CapturedCell",
    "Cell",
    "NeededPackage",
    "Notebook",
    "check_module",
    "from_folder",
    "needed_packages",
    "prepare_artefact",
    "user_frames",
]

_HOMES = {
    "Captured": "notebook",
    "CapturedCell": "notebook",
    "Cell": "cells",
    "NeededPackage": "requirements",
    "Notebook": "notebook",
    "check_module": "verify",
    "from_folder": "folder",
    "needed_packages": "requirements",
    "prepare_artefact": "artefact",
    "user_frames": "verify",
}


def __getattr__(name: str) -> object:
    # Loading the extension must cost next to nothing, so each name loads only its own module.
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
