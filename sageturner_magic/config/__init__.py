"""Read, check and explain the user's YAML.

The schema owns every key, its type and its limits. Every room may use it; it knows none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .configuration import Config as Config
    from .editors import json_schema as json_schema
    from .keys import alternatives as alternatives
    from .keys import options as options
    from .keys import schema_at as schema_at
    from .keys import schema_keys as schema_keys
    from .nodes import read_nodes as read_nodes
    from .places import Origin as Origin
    from .reading import parse_config as parse_config
    from .reading import read_config as read_config
    from .rendering import commented_example as commented_example
    from .rendering import configuration_table as configuration_table
    from .rules import IMAGE_REFERENCE as IMAGE_REFERENCE
    from .rules import SERVERLESS_MEMORY as SERVERLESS_MEMORY
    from .rules import SYSTEM_PACKAGE as SYSTEM_PACKAGE
    from .rules import TAG_CHARACTERS as TAG_CHARACTERS
    from .schema import Autoscaling as Autoscaling
    from .schema import Network as Network
    from .schema import Overrides as Overrides
    from .schema import Server as Server
    from .schema import Serverless as Serverless
else:
    __getattr__, __dir__ = face(__name__)
