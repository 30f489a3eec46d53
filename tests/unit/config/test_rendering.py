"""The example, the table and the JSON schema say what the schema says."""

import json
import re
from pathlib import Path

from sageturner_magic.config import commented_example, configuration_table, json_schema, schema_keys
from sageturner_magic.config.keys import all_keys, schema_at
from tests.unit.config.helpers import read

DOCUMENT = Path(__file__).parents[3] / "docs" / "configuration.md"


def _uncommented() -> str:
    return re.sub(r"(?m)^( *)#(?=\w)", r"\1", commented_example())


def test_the_example_reads_and_deploys_as_it_is():
    config = read(commented_example())
    assert config.check("local", "generate") == []
    assert config.check("serverless", "generate") == []


def test_the_example_reads_with_every_key_switched_on():
    config = read(_uncommented())
    for path in all_keys():
        if schema_keys(path) or len(path) == 1:
            continue
        section = config
        for part in path[:-1]:
            section = getattr(section, part)
        assert path[-1] in section.model_fields_set, path


def test_the_example_explains_every_key():
    words = " ".join(re.sub(r"(?m)^ *# ?", "", commented_example()).split())
    for path in all_keys():
        description = schema_keys(path[:-1])[path[-1]]
        assert description.endswith("."), path
        assert " ".join(description.split()) in words, path
        assert re.search(rf"(?m)^{'  ' * (len(path) - 1)}#?{path[-1]}:", commented_example()), path


def test_the_defaults_in_the_example_are_the_defaults():
    switched_on, bare = read(_uncommented()), read("name: my-model")
    assert switched_on.serving == bare.serving
    assert switched_on.compute.local == bare.compute.local


def test_no_line_of_the_example_is_wider_than_an_editor():
    assert max(map(len, commented_example().splitlines())) <= 100


def test_the_documented_table_is_the_schemas():
    assert configuration_table() in DOCUMENT.read_text(encoding="utf-8")


def test_the_json_schema_is_json_and_knows_every_key():
    schema = json.loads(json.dumps(json_schema()))
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {*schema_keys(), "artifact"}


def test_every_key_has_a_schema_and_required_ones_an_example():
    for path in all_keys():
        schema = schema_at(path)
        assert schema is not None, path
        section = schema_at(path[:-1]) or {}
        assert path[-1] not in section.get("required", ()) or schema["examples"], path
    assert schema_at(["nothing"]) is None
    assert schema_keys(["name"]) == {}
