"""Read a configuration from what Python code has: a path, YAML text or a mapping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

from sageturner_magic.config.configuration import Config
from sageturner_magic.config.given import Given, with_values
from sageturner_magic.config.places import Origin, dotted
from sageturner_magic.config.reading import AMERICAN, OURS, parse_config, read_config
from sageturner_magic.errors import ConfigError, UsageError
from sageturner_magic.text import kind_of

ConfigSource = Config | Mapping[str, Any] | str | Path
"""What a public function takes as a configuration."""

TEXT = Origin("the YAML text", is_cell=True)

_YAML = re.compile(r"\s*(\{|#|---|['\"]?\w+['\"]?\s*:(\s|$))|.*\n", re.DOTALL)
"""Text that is no path: several lines, or a first line with a key."""


def config_from(source: ConfigSource) -> Config:
    """Return the checked configuration.

    Args:
        source: The path of a YAML file; YAML text; a mapping with the same keys, whose paths are
            relative to the working directory; or a Config, which is returned as it is.

    Raises:
        ConfigError: Every mistake in it, or why the file cannot be read.
        UsageError: It is something else.
    """
    if isinstance(source, Config):
        return source
    if isinstance(source, Mapping):
        written = AMERICAN if AMERICAN in source and OURS not in source else OURS
        keys = {OURS if key == written else str(key): key for key in source}
        return with_values(
            None, {(key,): Given(_plain(source[name], (key,)), "") for key, name in keys.items()}
        )
    if not isinstance(source, (str, Path)):
        raise UsageError(
            f"The configuration is {kind_of(source)}",
            why="it takes the path of a YAML file, YAML text, or a dict with the same keys",
            do='write `{"name": "my-model"}`, or the path of a sageturner.yaml',
        )
    if text := yaml_of(source):
        return parse_config(text, folder=Path.cwd(), origin=TEXT)
    return read_config(Path(source).expanduser())


def yaml_of(source: ConfigSource) -> str:
    """Return the YAML text that `source` is or means; empty for the path of a file."""
    if isinstance(source, (Config, Mapping)):
        return config_from(source).to_yaml()
    return source if isinstance(source, str) and _YAML.match(source) else ""


def _plain(value: Any, path: tuple[str | int, ...]) -> Any:
    """`value` as YAML can write it. Raises ConfigError where it cannot."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each, (*path, str(key))) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each, (*path, index)) for index, each in enumerate(value)]
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Enum):
        return _plain(value.value, path)
    for kind in (bool, int, float, str):
        # Subclasses too, such as numpy.float64 and numpy.str_.
        if isinstance(value, kind):
            return kind(value)
    if value is None or isinstance(value, date):
        return value
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    key = dotted(path)
    raise ConfigError(
        f"`{key}` is {kind_of(value)}",
        why="a configuration holds text, numbers, lists and dicts",
        do="write the name of the notebook's variable as text"
        if path[0] == OURS
        else f"write the value of `{key}` as text or a number",
    )
