"""The user's YAML: its schema, reading it with positions, and explaining it."""

from sageturner_magic.config.configuration import Config
from sageturner_magic.config.editors import json_schema
from sageturner_magic.config.keys import schema_keys
from sageturner_magic.config.places import Origin
from sageturner_magic.config.reading import parse_config, read_config
from sageturner_magic.config.rendering import commented_example, configuration_table
from sageturner_magic.config.rules import (
    IMAGE_REFERENCE,
    SERVERLESS_MEMORY,
    SYSTEM_PACKAGE,
    TAG_CHARACTERS,
)
from sageturner_magic.config.schema import (
    Autoscaling,
    Batch,
    Compute,
    Container,
    GenerateContainer,
    Local,
    Network,
    Overrides,
    ProvideContainer,
    Server,
    Serverless,
    Serving,
)

__all__ = [
    "IMAGE_REFERENCE",
    "SERVERLESS_MEMORY",
    "SYSTEM_PACKAGE",
    "TAG_CHARACTERS",
    "Autoscaling",
    "Batch",
    "Compute",
    "Config",
    "Container",
    "GenerateContainer",
    "Local",
    "Network",
    "Origin",
    "Overrides",
    "ProvideContainer",
    "Server",
    "Serverless",
    "Serving",
    "commented_example",
    "configuration_table",
    "json_schema",
    "parse_config",
    "read_config",
    "schema_keys",
]
