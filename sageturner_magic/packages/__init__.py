"""Resolve which files of which packages an image or a process gets.

`needed` finds the packages that code needs. The images, the plans and the form use it. It knows
no cells and no images.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .connections import TIMEOUT, USER_AGENT, authorization, open_connections
    from .environment import find_interpreter, make_environment
    from .files import FileStore, default_folder
    from .machine import pip_configuration, resolver_environment, with_machine_settings
    from .pip_arguments import PipArguments, parse_pip_arguments
    from .provided import unprovided
    from .requirements import Package, Requirements, Target
    from .resolution import resolve, server_arguments
    from .sdists import with_wheels
    from .source_builds import SourceBuilder
    from .urls import Location, without_credentials
else:
    __getattr__, __dir__ = face(__name__)
