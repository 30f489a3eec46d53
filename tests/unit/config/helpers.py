"""Reading as the tests do it: from a file `sageturner.yaml` in /project."""

from pathlib import Path

import pytest

from sageturner_magic.config import Config, Origin, parse_config
from sageturner_magic.errors import ConfigError, Finding

FOLDER = Path("/project")


def read(text: str) -> Config:
    return parse_config(text, folder=FOLDER, origin=Origin.file("sageturner.yaml"))


def findings(text: str) -> tuple[Finding, ...]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return caught.value.findings


def finding(text: str) -> Finding:
    (only,) = findings(text)
    return only
