"""Apply values that stand outside the YAML, such as a command's flags, to a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from sageturner_magic.config.configuration import Config
from sageturner_magic.config.places import Origin, Places, dotted
from sageturner_magic.config.reading import parse_config
from sageturner_magic.errors import ConfigError, Finding


class Given(NamedTuple):
    """A value, and what messages call the place that it comes from: `--memory`."""

    value: Any
    place: str


def with_values(base: Config | None, values: Mapping[tuple[str, ...], Given]) -> Config:
    """Return `base` with these values in place of its own.

    Args:
        base: None for a configuration of these values alone, with paths relative to the working
            directory.
        values: Path of a key -> value, as YAML has it.

    Raises:
        ConfigError: A value cannot be used; names where it was given.
    """
    if base is not None and not values:
        return base
    data = yaml.safe_load(base.to_yaml()) if base else {}
    for path, given in values.items():
        section = data
        for key in path[:-1]:
            section = section.setdefault(key, {})
        section[path[-1]] = given.value
    places = base.places if base else Places(Path.cwd())
    places = replace(
        places,
        given={**places.given, **{dotted(path): each.place for path, each in values.items()}},
    )

    def placed(finding: Finding) -> Finding:
        return replace(finding, where=places.where(finding.key))

    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=10_000)
    try:
        read = parse_config(text, folder=places.folder, origin=Origin.file(""))
    except ConfigError as error:
        raise ConfigError.of(map(placed, error.findings)) from None
    return read.placed(places)
