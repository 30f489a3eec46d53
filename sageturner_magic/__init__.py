"""From notebook cells to a live Amazon SageMaker endpoint.

In a notebook: `%load_ext sageturner_magic`, then `%sageturner` for help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sageturner_magic._version import __version__ as __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from sageturner_magic.deployment import DeploymentHandle as DeploymentHandle
    from sageturner_magic.endpoints import Endpoint as Endpoint
    from sageturner_magic.endpoints import Prediction as Prediction
    from sageturner_magic.endpoints import PredictionStream as PredictionStream
    from sageturner_magic.endpoints.measured import LoadTest as LoadTest
    from sageturner_magic.errors import SageturnerError as SageturnerError

_OTHERS = {
    "DeploymentHandle": "sageturner_magic.deployment.run:DeploymentHandle",
    "Endpoint": "sageturner_magic.endpoints.endpoint:Endpoint",
    "LoadTest": "sageturner_magic.endpoints.measured.load_result:LoadTest",
    "Prediction": "sageturner_magic.endpoints.prediction:Prediction",
    "PredictionStream": "sageturner_magic.endpoints.prediction:PredictionStream",
    "SageturnerError": "sageturner_magic.errors:SageturnerError",
    "invoke_stream": "sageturner_magic.verbs:invoke_stream",
    "start_deployment": "sageturner_magic.verbs:start_deployment",
}
"""Public name -> path of what is public beside a function for each verb."""


def _public() -> dict[str, str]:
    from sageturner_magic.verbs import PUBLIC

    return {**PUBLIC, **_OTHERS}


def __getattr__(name: str) -> Any:
    # The extension has to load within milliseconds: what needs pydantic, boto3 or ipywidgets is
    # imported when it is first used, and so is the table of verbs.
    if name == "__all__":
        return ["__version__", *sorted(_public())]
    if not name.startswith("__") and (path := _public().get(name)):
        from pkgutil import resolve_name

        return resolve_name(path)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_public()})


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics: called by `%load_ext sageturner_magic`."""
    from sageturner_magic.notebook import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take everything out again: called by `%unload_ext sageturner_magic`."""
    from sageturner_magic.notebook import unload

    unload(shell)
