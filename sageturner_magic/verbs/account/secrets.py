"""Store the value of a secret."""

from __future__ import annotations

import getpass
import sys

from sageturner_magic.aws import (
    put_secret,
)
from sageturner_magic.calls import in_thread
from sageturner_magic.config import ConfigSource
from sageturner_magic.context import DEFAULT_AWS, AwsOptions, current_notebook
from sageturner_magic.errors import UsageError
from sageturner_magic.verbs.account.offers import Changes
from sageturner_magic.verbs.account.opened import given_config


def secret(
    action: str,
    name: str,
    config: ConfigSource | None = None,
    *,
    value: str | None = None,
    aws: AwsOptions = DEFAULT_AWS,
) -> Changes:
    """Store the value of a secret in Secrets Manager, or where `secrets:` says.

    Args:
        action: `put`.
        name: The variable under `secrets:`; without a configuration that has it, the name of a
            secret in Secrets Manager.
        config: Without one, ./sageturner.yaml where it is there.
        value: Without one it is asked for, or read from standard input.

    Raises:
        UsageError: Another action; there is no value.
        AwsError: A call failed.
    """
    if action != "put":
        raise UsageError(f"`secret` cannot `{action}`", do=f"write `secret put {name}`")
    given = given_config(config)
    reference = given.secrets.get(name, name) if given else name
    text = _asked(name) if value is None else value
    if not text:
        raise UsageError(f"There is no value for `{name}`", do="run it again and type the value")
    return Changes([put_secret(aws.open(), reference, text)])


def _asked(name: str) -> str:
    """The value, typed without echo, or a line of standard input where nobody can type."""
    if current_notebook() is None and not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    try:
        return getpass.getpass(f"Value of {name} (not shown): ")
    except (NotImplementedError, EOFError):
        # What a kernel raises whose front end cannot ask, as with papermill.
        raise UsageError(
            f"The value of `{name}` cannot be asked for here",
            why="nobody can type it",
            do=f"run `sageturner secret put {name} < FILE` in a shell",
        ) from None


asecret = in_thread(secret)
