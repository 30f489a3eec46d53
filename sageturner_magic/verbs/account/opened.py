"""Open the AWS account that the verbs speak to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sageturner_magic.aws import AwsSession, Names, names_in
from sageturner_magic.config import Config, ConfigSource
from sageturner_magic.context import DEFAULT_AWS, AwsOptions
from sageturner_magic.verbs.requested import DEFAULT_CONFIG, find_config


@dataclass(frozen=True)
class Account:
    """An AWS account with the names that a configuration's `overrides` give."""

    session: AwsSession
    names: Names


def account(config: ConfigSource | None = None, *, aws: AwsOptions = DEFAULT_AWS) -> Account:
    """The account that the verbs speak to, with the names of the configuration's `overrides`.

    Args:
        config: Without one, ./sageturner.yaml where it is there.

    Raises:
        AwsError: There are no credentials, or no region.
        ConfigError: The configuration has mistakes.
    """
    return opened(given_config(config), aws)


def given_config(config: ConfigSource | None) -> Config | None:
    """The configuration, which need not be there. Raises ConfigError."""
    if config is None and not Path(DEFAULT_CONFIG).exists():
        return None
    return find_config(config)


def opened(config: Config | None, aws: AwsOptions) -> Account:
    """The account with the names that `config` gives. Raises AwsError."""
    session = aws.open()
    return Account(session, names_in(session, config.overrides if config else None))


def secrets_of(config: Config | None) -> tuple[str, ...]:
    """The references of `secrets:`."""
    return tuple(config.secrets.values()) if config else ()
