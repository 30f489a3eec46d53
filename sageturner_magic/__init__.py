"""From notebook cells to a live Amazon SageMaker endpoint.

In a notebook: `%load_ext sageturner_magic`, then `%sageturner` for help.
"""

from __future__ import annotations

from functools import cache
from types import FunctionType
from typing import TYPE_CHECKING

from sageturner_magic import faces
from sageturner_magic._version import __version__ as __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .config import Config as Config
    from .config import config_from as read_config
    from .config import json_schema as schema
    from .context import AwsOptions as AwsOptions
    from .deployment import Deployment as Deployment
    from .deployment import DeploymentHandle as DeploymentHandle
    from .deployment import Plan as Plan
    from .deployment import Tried as Tried
    from .endpoints import Endpoint as Endpoint
    from .endpoints import EndpointDescription as EndpointDescription
    from .endpoints import Prediction as Prediction
    from .endpoints import PredictionStream as PredictionStream
    from .endpoints.measured import LoadTest as LoadTest
    from .errors import Finding as Finding
    from .errors import SageturnerError as SageturnerError
    from .verbs import Changes as Changes
    from .verbs import Report as Report
    from .verbs import Source as Source
    from .verbs import aclient as aclient
    from .verbs import acost as acost
    from .verbs import adelete as adelete
    from .verbs import adeploy as adeploy
    from .verbs import adoctor as adoctor
    from .verbs import aexport as aexport
    from .verbs import aextend as aextend
    from .verbs import ainvoke as ainvoke
    from .verbs import ainvoke_stream as ainvoke_stream
    from .verbs import akeep as akeep
    from .verbs import alist as alist
    from .verbs import aload_test as aload_test
    from .verbs import alogs as alogs
    from .verbs import aplan as aplan
    from .verbs import arollback as arollback
    from .verbs import asecret as asecret
    from .verbs import asetup as asetup
    from .verbs import astatus as astatus
    from .verbs import ateardown as ateardown
    from .verbs import atry as atry
    from .verbs import client as client
    from .verbs import code as code
    from .verbs import cost as cost
    from .verbs import delete as delete
    from .verbs import deploy as deploy
    from .verbs import doctor as doctor
    from .verbs import export as export
    from .verbs import extend as extend
    from .verbs import follow_logs as follow_logs
    from .verbs import form as form
    from .verbs import init as init
    from .verbs import invoke as invoke
    from .verbs import invoke_stream as invoke_stream
    from .verbs import keep as keep
    from .verbs import list_endpoints as list
    from .verbs import load_test as load_test
    from .verbs import logs as logs
    from .verbs import plan as plan
    from .verbs import rollback as rollback
    from .verbs import secret as secret
    from .verbs import setup as setup
    from .verbs import start_deployment as start_deployment
    from .verbs import status as status
    from .verbs import teardown as teardown
    from .verbs import try_ as try_

    # Type checkers export what is imported under its own name, and what this names.
    __all__ = ["list", "read_config", "schema"]
else:
    # The extension has to load within milliseconds: what needs pydantic, boto3 or ipywidgets is
    # imported when it is first used.
    _offered, _names = faces.face(__name__)

    def __getattr__(name):
        if name == "__all__":
            return ["__version__", *_names()]
        value = _offered(name)
        return _checked(value, name) if isinstance(value, FunctionType) else value

    @cache
    def _checked(function, name):
        from sageturner_magic.calls import checked

        return checked(function, name)

    def __dir__():
        return sorted({*globals(), *_names()})


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics: called by `%load_ext sageturner_magic`."""
    from sageturner_magic.notebook import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take everything out again: called by `%unload_ext sageturner_magic`."""
    from sageturner_magic.notebook import unload

    unload(shell)
