"""From notebook cells to a live Amazon SageMaker endpoint.

In a notebook: `%load_ext sageturner_magic`, then `%sageturner` for help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic._version import __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from sageturner_magic.deployment.endpoint import Endpoint as Endpoint
    from sageturner_magic.deployment.load_result import LoadTest as LoadTest
    from sageturner_magic.deployment.run import DeploymentHandle as DeploymentHandle
    from sageturner_magic.errors import SageturnerError as SageturnerError
    from sageturner_magic.targets.prediction import Prediction as Prediction
    from sageturner_magic.targets.prediction import PredictionStream as PredictionStream

_PUBLIC = {
    "DeploymentHandle": "deployment.run.DeploymentHandle",
    "Endpoint": "deployment.endpoint.Endpoint",
    "LoadTest": "deployment.load_result.LoadTest",
    "Prediction": "targets.prediction.Prediction",
    "PredictionStream": "targets.prediction.PredictionStream",
    "SageturnerError": "errors.SageturnerError",
    "code": "deployment.verbs.code",
    "delete": "deployment.upkeep.delete",
    "deploy": "deployment.verbs.deploy",
    "export": "deployment.verbs.export",
    "init": "deployment.verbs.init",
    "invoke": "deployment.asking.invoke",
    "invoke_stream": "deployment.asking.invoke_stream",
    "list": "deployment.asking.list_endpoints",
    "load_test": "deployment.load_test.load_test",
    "logs": "deployment.asking.logs",
    "plan": "deployment.verbs.plan",
    "rollback": "deployment.verbs.rollback",
    "schema": "config.editors.json_schema",
    "setup": "deployment.upkeep.setup",
    "start_deployment": "deployment.verbs.start_deployment",
    "status": "deployment.asking.status",
    "try_": "deployment.verbs.try_",
}
"""Public name -> where it is, below this package."""

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> object:
    # The extension has to load within milliseconds: what needs pydantic, boto3 or ipywidgets is
    # imported when it is first used.
    if name in _PUBLIC:
        from importlib import import_module

        module, _, attribute = _PUBLIC[name].rpartition(".")
        return getattr(import_module(f"{__name__}.{module}"), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics: called by `%load_ext sageturner_magic`."""
    from sageturner_magic.notebook.extension import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take everything out again: called by `%unload_ext sageturner_magic`."""
    from sageturner_magic.notebook.extension import unload

    unload(shell)
