"""Words, patterns and figures that several rooms share."""

from __future__ import annotations

import re
import sys
import unicodedata
from typing import Literal, get_args

EndpointType = Literal["local", "serverless", "server"]

ContainerMode = Literal["generate", "provide"]

Architecture = Literal["amd64", "arm64"]

ENDPOINT_TYPES: tuple[EndpointType, ...] = get_args(EndpointType)

CONTAINER_MODES: tuple[ContainerMode, ...] = get_args(ContainerMode)

ENDPOINT_NAME = r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?"
"""Pattern of an endpoint's name, and so of a capture's: a suffix of 13 characters leaves it
within SageMaker's 63 for models and endpoint configs."""

TAG_CHARACTERS = r"\w .:/=+@-"
"""What keys and values of AWS tags are made of, as the inside of a pattern's brackets (Tag)."""

THIS_PYTHON = ".".join(map(str, sys.version_info[:2]))
"""Version of this process's Python, in the form of the configuration's `python_version`."""

MODEL_DIR = "/opt/ml/model"
"""Where containers have the model files."""

FOLDERS_DEEP = 200
"""Folders inside each other at most: a path has 4,096 bytes, and trees are walked by recursion."""

KEEPER = "sageturner_magic.endpoints.container.keeper"
"""The module that holds a local endpoint's container, by which its process is known."""

CHUNK = 1 << 20
"""Bytes read at a time wherever a file is hashed, copied or uploaded."""

REQUEST_SECONDS = 70.0
"""How long a caller waits for a response: a little more than the 60 s that a model has."""


def nearest_endpoint_name(text: str) -> str:
    """Turn `text` into a name that an endpoint can have; empty where nothing of it fits."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-")
