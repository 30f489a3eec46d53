"""What an editor says of a sageturner.yaml is what the reader says of it."""

import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from sageturner_magic.cli import main
from sageturner_magic.config import commented_example, json_schema
from sageturner_magic.errors import ConfigError
from tests.unit.config.helpers import read
from tests.unit.config.test_values import ORIGINAL_CPU, ORIGINAL_GPU

ROOT = Path(__file__).parents[3]
EDITOR = Draft202012Validator(json_schema())

RIGHT = {
    "the original's CPU example": ORIGINAL_CPU,
    "the original's GPU example": ORIGINAL_GPU,
    "the commented example": commented_example(),
    "the commented example, all switched on": re.sub(
        r"(?m)^( *)#(?=\w)", r"\1", commented_example()
    ),
    "sections without a value": "name: a\noverrides:\ncompute:\n  serverless:\n",
    "scalars without quotes": "name: a\ncontainer: {generate_container: {python_version: 3.12}}\n"
    "environment: {PORT: 8080, DEBUG: true}\ntags: {cost: 12}\n",
    "a NaN that becomes null": "name: a\nserving: {nan: null}\n",
    "live objects": "name: a\nartefact: {model.joblib: model}\n",
    "the American spelling": "name: a\nartifact: ./model\n",
}
for document in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
    for number, block in enumerate(
        re.findall(r"(?ms)^```yaml\n(?:%%sageturner.*?\n)?(.*?)^```", document.read_text("utf-8"))
    ):
        if document.parent.name == "how-to" and not re.search(r"(?m)^name:", block):
            block = f"name: a\n{block}"
        if re.search(r"(?m)^name:", block):
            RIGHT[f"{document.name}, example {number + 1}"] = block

WRONG = (
    "name: Digits!",
    "name: [a]",
    "artefact: ./model",
    "name: a\nunknown: 1",
    "name: a\ncompute: {serverless: {memory: 2000}}",
    "name: a\ncompute: {serverless: {max_concurrency: 201}}",
    "name: a\ncompute: {server: {}}",
    "name: a\ncompute: {server: {instance_type: m5}}",
    "name: a\nserving: {nan: nothing}",
    "name: a\ncontainer: {generate_container: {builder: podman}}",
    "name: a\ncontainer: {generate_container: {system_packages: libgomp1}}",
    "name: a\ncompute: {server: {instance_type: ml.m5.xlarge, routing: FIRST}}",
)


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT.keys())
def test_an_editor_accepts_what_the_reader_accepts(text):
    read(text)
    assert [error.message for error in EDITOR.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize("text", WRONG)
def test_an_editor_refuses_what_the_reader_refuses(text):
    with pytest.raises(ConfigError):
        read(text)
    assert not EDITOR.is_valid(yaml.safe_load(text))


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(json_schema())


def test_the_command_prints_the_schema_and_nothing_else(capsys):
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()
