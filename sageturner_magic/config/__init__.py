"""Read, check and explain the user's YAML.

The schema owns every key, its type and its limits. Every room may use it; it knows none of them.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .configuration import Config
    from .editors import json_schema
    from .given import Given, with_values
    from .keys import alternatives, options, schema_at, schema_keys
    from .nodes import read_nodes
    from .places import Origin
    from .reading import parse_config, read_config
    from .rendering import commented_example, configuration_table
    from .rules import (
        IMAGE_REFERENCE,
        SERVERLESS_MEMORY,
        SYSTEM_PACKAGE,
        lease_length,
        lease_seconds,
    )
    from .schema import Autoscaling, Network, Overrides, Server, Serverless
    from .secret_reference import SecretReference, given_to_server, read_by_server
    from .sources import ConfigSource, config_from, yaml_of
else:
    __getattr__, __dir__ = face(__name__)
