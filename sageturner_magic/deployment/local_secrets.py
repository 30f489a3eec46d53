"""Find the values of `secrets:` for what runs on this machine: servers, trials, smoke tests.

The first place that has one counts: the environment variable, `.env` beside the YAML, the keyring.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterable
from pathlib import Path

from sageturner_magic.config import Config
from sageturner_magic.errors import Finding

KEYRING = "sageturner"
"""The service under which the keyring has the values; the user name is the variable's."""

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*")


def secret_values(names: Iterable[str], folder: Path) -> dict[str, str]:
    """The values that this machine has, by the names of their variables.

    Args:
        names: The keys of `secrets:`.
        folder: Where `.env` may be.
    """
    file = _read_env(folder / ".env")
    found = {name: os.environ.get(name) or file.get(name) or _in_keyring(name) for name in names}
    return {name: value for name, value in found.items() if value}


def values_of(config: Config) -> dict[str, str]:
    """The values of a configuration's secrets that this machine has."""
    return secret_values(config.secrets, config.resolve("."))


def missing_here(config: Config, consequence: str = "") -> list[Finding]:
    """A finding for each secret without a value on this machine.

    Args:
        consequence: What follows, if it is no error, as for a deployment to SageMaker.
    """
    values = values_of(config)
    return [
        Finding(
            f"The secret `{name}` has no value on this machine",
            where=f"secrets.{name}",
            why=consequence or "a local process or container cannot read it with an AWS role",
            do=f"set the environment variable {name}, or write `{name}=VALUE` into "
            f"{config.resolve('.env')}",
            severity="note" if consequence else "error",
            code="ST27",
        )
        for name in config.secrets
        if name not in values
    ]


def _read_env(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    found = filter(None, map(_LINE.fullmatch, lines))
    return {each[1]: _value(each[2]) for each in found}


def _value(text: str) -> str:
    quoted = re.match(r"(['\"])(.*?)\1\s*(?:#.*)?$", text)
    return quoted[2] if quoted else re.split(r"(?:^|\s+)#", text, maxsplit=1)[0]


def _in_keyring(name: str) -> str:
    if importlib.util.find_spec("keyring") is None:
        return ""
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(KEYRING, name) or ""
    except KeyringError:
        return ""  # No keyring is unlocked, or this machine has none.
