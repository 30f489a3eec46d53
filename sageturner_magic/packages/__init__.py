"""Resolve which files of which packages an image or a process gets.

`needed` finds the packages that code needs. The images, the plans and the form use it. It knows
no cells and no images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .connections import TIMEOUT as TIMEOUT
    from .connections import USER_AGENT as USER_AGENT
    from .connections import authorization as authorization
    from .connections import open_connections as open_connections
    from .environment import find_interpreter as find_interpreter
    from .environment import make_environment as make_environment
    from .files import FileStore as FileStore
    from .files import default_folder as default_folder
    from .machine import pip_configuration as pip_configuration
    from .machine import resolver_environment as resolver_environment
    from .machine import with_machine_settings as with_machine_settings
    from .pip_arguments import PipArguments as PipArguments
    from .pip_arguments import parse_pip_arguments as parse_pip_arguments
    from .requirements import Package as Package
    from .requirements import Requirements as Requirements
    from .requirements import Target as Target
    from .resolution import resolve as resolve
    from .resolution import server_arguments as server_arguments
    from .sdists import with_wheels as with_wheels
    from .source_builds import SourceBuilder as SourceBuilder
    from .urls import Credentials as Credentials
    from .urls import Location as Location
    from .urls import without_credentials as without_credentials
else:
    __getattr__, __dir__ = face(__name__)
