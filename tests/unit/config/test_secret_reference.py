"""`secrets:` in the YAML."""

from __future__ import annotations

import json

import pytest

from sageturner_magic.config import SecretReference, read_by_server
from sageturner_magic.errors import ConfigError
from tests.unit.config.helpers import read

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:team/hf-AbCdEf"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("team/hf", SecretReference("secretsmanager", "team/hf")),
        ("team/hf#token", SecretReference("secretsmanager", "team/hf", "token")),
        (f"{ARN}#a b", SecretReference("secretsmanager", ARN, "a b")),
        ("ssm:/team/hf", SecretReference("ssm", "/team/hf")),
        (
            "arn:aws:ssm:eu-west-1:123456789012:parameter/team/hf",
            SecretReference("ssm", "arn:aws:ssm:eu-west-1:123456789012:parameter/team/hf"),
        ),
    ],
)
def test_references(text: str, expected: SecretReference) -> None:
    assert SecretReference.parse(text) == expected
    assert read(f"name: a\nsecrets:\n  TOKEN: '{text}'\n").secrets == {"TOKEN": text}


@pytest.mark.parametrize("text", ["", "team hf", "team/hf#", "ssm:/a b", "arn:aws:s3:::b", "a:b"])
def test_other_texts_are_refused_without_showing_them(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(f"name: a\nsecrets:\n  TOKEN: '{text}'\n")
    (found,) = raised.value.findings
    assert found.key == "secrets.TOKEN" and "not the value itself" in found.why
    assert not text or f"`{text}`" not in str(found)


def test_the_server_is_told_names_and_region() -> None:
    config = read("name: a\nsecrets: {TOKEN: team/hf}\n")
    variables = config.container_environment("generate", "eu-west-1")
    told = json.loads(variables["SAGETURNER_SECRETS"])
    assert told == {"region": "eu-west-1", "references": {"TOKEN": "team/hf"}}
    assert read_by_server({}, "eu-west-1") == {}


@pytest.mark.parametrize(
    ("yaml", "kind", "key"),
    [
        ("environment: {TOKEN: x}", "generate", "environment.TOKEN"),
        ("network: {isolation: true}", "generate", "secrets"),
        ("container: {provide_container: {docker_dir: ./a}}", "provide", "secrets"),
    ],
)
def test_what_does_not_go_together_with_secrets(yaml: str, kind: str, key: str) -> None:
    config = read(f"name: a\nsecrets: {{TOKEN: team/hf}}\n{yaml}\n")
    found = config.check("server", kind)  # type: ignore[arg-type]
    assert [each.key for each in found] == [key]
