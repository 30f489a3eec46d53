"""Find what a call of a verb is about: the configuration, the code and the AWS account.

For the verbs' modules. `config` is a path (default: ./sageturner.yaml) or a Config that was read
already; in a notebook with the extension loaded, captured cells and live variables are found.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sageturner_magic.config import Config, Origin, parse_config, read_config
from sageturner_magic.constants import ContainerMode, EndpointType
from sageturner_magic.context import DEFAULT_AWS, AwsOptions, current_notebook
from sageturner_magic.deployment import DeployRequest, code_source
from sageturner_magic.errors import ConfigError

DEFAULT_CONFIG = "sageturner.yaml"


def find_config(config: Config | str | Path | None) -> Config:
    """The configuration that is meant. Raises ConfigError."""
    if isinstance(config, Config):
        return config
    if config is not None:
        return read_config(Path(config).expanduser())
    default = Path(DEFAULT_CONFIG)
    if not default.exists():
        raise ConfigError(
            "There is no configuration",
            why=f"none was named, and {Path.cwd()} has no {DEFAULT_CONFIG}",
            do="write the YAML below `%%sageturner deploy`, pass `-c PATH`, or run"
            " `sageturner init`",
        )
    return read_config(default)


def named_config(name: str) -> Config:
    return parse_config(f"name: {json.dumps(name)}", folder=Path.cwd(), origin=Origin.file(""))


def request_for(
    config: Config | str | Path | None,
    endpoint_type: EndpointType,
    container_mode: ContainerMode,
    detach: bool = False,
    aws: AwsOptions = DEFAULT_AWS,
    smoke_test: bool = True,
) -> DeployRequest:
    found = find_config(config)
    notebook = current_notebook()
    return DeployRequest(
        config=found,
        endpoint_type=endpoint_type,
        container_mode=container_mode,
        code=code_source(found, container_mode, notebook.notebook if notebook else None),
        namespace=notebook.namespace if notebook else {},
        detach=detach,
        python=sys.executable,
        aws=aws,
        smoke_test=smoke_test,
    )


class Silent:
    """A Reporter for those who only want the result."""

    def log(self, line: str) -> None:
        pass

    def progress(self, done: float, total: float | None, unit: str, part: str = "") -> None:
        pass

    def checkpoint(self) -> None:
        pass
