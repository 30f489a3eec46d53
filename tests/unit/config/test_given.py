"""Values that flags give beside the YAML."""

from pathlib import Path

import pytest

from sageturner_magic.config import Given, Origin, parse_config, with_values
from sageturner_magic.errors import ConfigError

MEMORY = ("compute", "serverless", "memory")
MOST = ("compute", "serverless", "max_concurrency")


def written(text: str):
    return parse_config(text, folder=Path("/here"), origin=Origin.cell(5))


def test_a_value_replaces_that_of_the_yaml_and_leaves_the_others_and_their_places():
    base = written("name: a\nenvironment: {A: '1', B: '2'}")
    changed = with_values(
        base, {MEMORY: Given("4096", "--memory"), ("environment", "B"): Given("3", "--env")}
    )
    assert changed.compute.serverless is not None
    assert changed.compute.serverless.memory == 4096
    assert changed.environment == {"A": "1", "B": "3"}
    assert changed.resolve(".") == Path("/here")
    assert changed.where("environment.A") == "In[5], line 3"
    assert changed.where("environment.B") == "--env"
    assert changed.where("compute.serverless.memory") == "--memory"
    assert with_values(base, {}) is base


def test_a_second_change_keeps_the_places_of_the_first():
    once = with_values(written("name: a"), {MEMORY: Given(4096, "--memory")})
    twice = with_values(once, {MOST: Given(7, "elsewhere")})
    assert twice.where("compute.serverless.memory") == "--memory"
    assert twice.compute.serverless is not None
    assert (twice.compute.serverless.memory, twice.compute.serverless.max_concurrency) == (4096, 7)


@pytest.mark.parametrize(
    ("path", "value", "remedy"),
    [
        (MEMORY, "3GB", "write `3072`"),
        (("compute", "server", "instance_type"), "m5.large", "ml.m5.large"),
        (("environment", "1 B"), "x", ""),
    ],
)
def test_a_mistake_names_the_flag(path, value, remedy):
    with pytest.raises(ConfigError) as raised:
        with_values(written("name: a"), {path: Given(value, "--the-flag")})
    (found,) = raised.value.findings
    assert found.where == "--the-flag" and remedy in found.do


def test_a_mistake_that_the_yaml_has_a_part_in_names_both_places():
    base = written("name: a\ncompute:\n  serverless:\n    provisioned_concurrency: 3")
    with pytest.raises(ConfigError) as raised:
        with_values(base, {MOST: Given(2, "--most")})
    assert raised.value.findings[0].where == "In[5], line 5"


def test_a_name_alone_is_a_configuration_of_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = with_values(None, {("name",): Given("digits", "")})
    assert config.name == "digits" and config.resolve("model") == tmp_path / "model"
    assert config == parse_config("name: digits", folder=tmp_path, origin=Origin.file("x"))
    with pytest.raises(ConfigError, match="Digits"):
        with_values(None, {("name",): Given("Digits", "")})
