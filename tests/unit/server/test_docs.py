"""The OpenAPI document that describes an endpoint."""

from __future__ import annotations

import json
from pathlib import Path

import openapi_spec_validator
import pytest

from sageturner_magic.server.front import docs

GOLDEN = Path(__file__).with_name("openapi")
EXAMPLE = {"pixels": [0.0, 1.5], "name": "é"}


@pytest.mark.parametrize(
    ("name", "example", "token"), [("bare", None, False), ("example-token", EXAMPLE, True)]
)
def test_the_description_is_the_one_that_clients_were_generated_from(
    name: str, example: object, token: bool
) -> None:
    expected = json.loads((GOLDEN / f"{name}.json").read_text())
    assert json.loads(docs.openapi("sageturner.py", example, token)) == expected


def test_an_example_is_described_whole() -> None:
    example = {"text": None, "_sa": [0, "", {}]}
    document = json.loads(docs.openapi("sageturner.py", example, False))
    content = document["paths"]["/invocations"]["post"]["requestBody"]["content"]
    assert content["application/json"]["schema"]["examples"] == [example]


def test_a_stream_is_described_by_its_media_types_and_a_response_by_an_example() -> None:
    def content(
        kind: dict[str, object], streams: bool, warmed: dict[str, str] | None = None
    ) -> dict[str, object]:
        contract = {"request": None, "answer": kind, "schemas": {}, "streams": streams}
        document = json.loads(docs.openapi("x", None, False, contract, warmed))
        openapi_spec_validator.validate(document)
        responses = document["paths"]["/invocations"]["post"]["responses"]
        found: dict[str, object] = responses["200"]["content"]
        return found

    assert [*content({"type": "integer"}, True)] == ["application/jsonlines", "text/event-stream"]
    assert [*content({"type": "string"}, True)] == ["text/plain", "text/event-stream"]
    warmed = {"content_type": "application/json", "body": "3"}
    assert content({"type": "integer"}, False, warmed) == {
        "application/json": {"schema": {"type": "integer"}, "example": 3}
    }
