"""What Python code may give as a configuration."""

from enum import Enum
from pathlib import Path

import numpy as np
import pytest

from sageturner_magic import read_config
from sageturner_magic.errors import ConfigError, UsageError

WRITTEN = """\
name: digits
artefact: ./model
container:
  generate_container: {python_packages: [numpy, pandas], python_version: "3.12"}
compute: {serverless: {memory: 2048}}
environment: {LEVEL: "1"}
"""


class Level(str, Enum):
    LOW = "1"


MAPPING = {
    "name": "digits",
    "artefact": Path("model"),
    "container": {
        "generate_container": {"python_packages": ("numpy", "pandas"), "python_version": 3.12}
    },
    "compute": {"serverless": {"memory": np.int64(2048)}},
    "environment": {"LEVEL": Level.LOW},
}


def test_a_path_text_a_mapping_and_a_configuration_mean_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("sageturner.yaml").write_text(WRITTEN)
    read = read_config("sageturner.yaml")
    assert read == read_config(Path("sageturner.yaml")) == read_config(WRITTEN)
    assert read_config(read) is read
    mapping = read_config({**MAPPING, "artefact": "./model"})
    assert mapping == read
    assert mapping.resolve("model") == tmp_path / "model"
    assert read_config(MAPPING).artefact == "model"


@pytest.mark.parametrize("text", ["name: digits", "{name: digits}", "\n# ours\nname: digits\n"])
def test_text_with_a_key_is_yaml(text):
    assert read_config(text).name == "digits"


def test_text_without_a_key_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("digits", "C:\\digits.yaml", "a folder/digits.yaml"):
        with pytest.raises(ConfigError, match="does not exist"):
            read_config(path)


def test_both_spellings_of_artefact_are_read():
    assert read_config({"name": "digits", "artifact": "./model"}).artefact == "./model"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({}, "`name` is missing"),
        (
            {"name": "digits", "compute": {"serverless": {"memroy": 2048}}},
            "`compute.serverless.memroy` is not a known key: did you mean `memory`?",
        ),
        (
            {"name": "digits", "artefact": {"digits.joblib": object()}},
            "`artefact.digits.joblib` is an object",
        ),
        ("name: digits\nmemory: 3", "(the YAML text, line 2)"),
    ],
)
def test_mistakes_are_told_by_their_key(source, said):
    with pytest.raises(ConfigError) as error:
        read_config(source)
    assert said in str(error.value)


def test_what_is_no_configuration_is_refused():
    with pytest.raises(UsageError, match="`source` of `read_config\\(\\)` is a list"):
        read_config(["name: digits"])
