"""Read the references of `secrets:`, and tell the model server about them.

A reference is the name or the ARN of a secret in Secrets Manager, or `ssm:` and the name of a
parameter of Systems Manager; `#key` after it means one entry of a JSON object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator

from sageturner_magic.config.rules import rule

SERVER_VARIABLE = "SAGETURNER_SECRETS"
"""What the model server reads; its docstring has the form."""

_ARN = re.compile(
    r"arn:aws[a-z-]*:(secretsmanager|ssm):[a-z0-9-]+:[0-9]{12}:(?:secret:|parameter/)[\w/+=.@!-]+"
)
# API references of CreateSecret and PutParameter.
_NAME = re.compile(r"[\w/+=.@!-]{1,512}", re.ASCII)
_PARAMETER = re.compile(r"[\w/.-]{1,1011}", re.ASCII)


@dataclass(frozen=True)
class SecretReference:
    """Where the value of a secret is.

    Attributes:
        service: botocore's name of the service that keeps it.
        name: Name or ARN.
        key: The entry of a JSON object; empty for the whole text.
    """

    service: Literal["secretsmanager", "ssm"]
    name: str
    key: str = ""

    @classmethod
    def parse(cls, text: str) -> SecretReference:
        """Read a reference. Raises what pydantic shows as a rule."""
        name, mark, key = text.partition("#")
        fits: re.Match[str] | None
        service: Literal["secretsmanager", "ssm"] = "secretsmanager"
        if name.startswith("arn:"):
            fits = _ARN.fullmatch(name)
            if fits and fits[1] == "ssm":
                service = "ssm"
        elif name.startswith("ssm:"):
            service, name = "ssm", name.removeprefix("ssm:")
            fits = _PARAMETER.fullmatch(name)
        else:
            fits = _NAME.fullmatch(name)
        if not fits or bool(mark) != bool(key):
            raise rule(
                "expected the name or ARN of a secret in Secrets Manager, or `ssm:` and the name "
                "of a parameter, not the value itself",
                "write it like `team/hf`, `team/hf#token` or `ssm:/team/hf`",
            )
        return cls(service, name, key)

    @property
    def region(self) -> str:
        """The region of an ARN; empty for a name."""
        return self.name.split(":")[3] if self.name.startswith("arn:") else ""


def _checked(text: str) -> str:
    SecretReference.parse(text)
    return text


SecretText = Annotated[str, AfterValidator(_checked)]


def read_by_server(references: Mapping[str, str], region: str) -> dict[str, str]:
    """The variables of a container whose server reads the secrets from AWS; none without any."""
    if not references:
        return {}
    told = {"region": region, "references": dict(references)}
    return {SERVER_VARIABLE: json.dumps(told, sort_keys=True)}


def given_to_server(values: Mapping[str, str]) -> dict[str, str]:
    """The variables of a server on this machine: the values, and which are to be masked."""
    if not values:
        return {}
    return {**values, SERVER_VARIABLE: json.dumps({"references": dict.fromkeys(values, "")})}
