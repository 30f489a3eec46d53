"""Servers whose predict names the type of its request."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
from typing import Any

import jsonschema
import openapi_spec_validator
import pytest

from .conftest import Start

TYPES = """
    from __future__ import annotations
    import dataclasses, typing

    @dataclasses.dataclass
    class Digits:
        pixels: list[float]
        scale: float = 1.0

    class Answer(typing.TypedDict):
        digit: int

    def load(): return None
"""
PLAIN = """
    def predict(model, request: Digits) -> Answer:
        return {"digit": int(sum(request.pixels) * request.scale)}
"""
ASYNC = """
    async def predict(model, request: Digits) -> Answer:
        return {"digit": int(sum(request.pixels) * request.scale)}
"""
STREAM = """
    def predict(model, request: Digits) -> typing.Iterator[Answer]:
        yield {"digit": int(sum(request.pixels) * request.scale)}
"""
BATCH = """
    def predict(model, request: Digits) -> Answer: ...
    def predict_batch(model, requests: list[Digits]) -> list[Answer]:
        return [{"digit": int(sum(each.pixels) * each.scale)} for each in requests]
"""


@pytest.mark.parametrize("predict", [PLAIN, ASYNC, STREAM, BATCH])
def test_predict_gets_its_type_and_a_wrong_request_is_a_422(start: Start, predict: str) -> None:
    server = start(TYPES + predict).ready()
    reply = server.invoke({"pixels": [1, 2.5], "scale": 2})
    assert (reply.status, json.loads(reply.body)) == (200, {"digit": 7})
    wrong = server.invoke({"pixels": [1, "x"], "scael": 2})
    fault = {"at": "pixels[1]", "message": 'expected a number, got "x"'}
    other = {"at": "scael", "message": 'unknown; did you mean "scale"?'}
    assert wrong.status == 422
    assert wrong.json == {"error": {"type": "Invalid", **fault, "faults": [fault, other]}}
    assert "Traceback" not in server.log()


def test_a_wrong_request_of_a_batch_fails_alone(start: Start) -> None:
    server = start(TYPES + BATCH).ready()
    requests: list[Any] = [{"pixels": [n]} if n % 3 else {"pixels": n} for n in range(1, 33)]
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        replies = list(threads.map(server.invoke, requests))
    for number, reply in enumerate(replies, 1):
        if number % 3:
            assert reply.json == {"digit": number}
        else:
            assert (reply.status, reply.error["at"]) == (422, "pixels")


def test_a_csv_row_becomes_a_record(start: Start) -> None:
    server = start(
        """
        import typing
        class Row(typing.NamedTuple):
            age: int
            name: str = ""
        def load(): return None
        def predict(model, request: list[Row]): return [row.age for row in request]
        """
    ).ready()
    kind = "text/csv; header=present"
    assert server.invoke(body=b"age,name\n3,a\n4,b\n", Content_Type=kind).json == [3, 4]
    wrong = server.invoke(body=b"age,name\nx,a\n", Content_Type=kind)
    assert wrong.error["at"] == "[0].age"


def test_the_description_of_the_endpoint_is_that_of_the_types(start: Start) -> None:
    example = "\n    def example_request(): return Digits([0.5])\n"
    server = start(TYPES + PLAIN + example).ready()
    document: dict[str, Any] = server.request("GET", "/openapi.json").json
    openapi_spec_validator.validate(document)
    invocations = document["paths"]["/invocations"]["post"]
    request = invocations["requestBody"]["content"]["application/json"]["schema"]
    assert request["examples"] == [{"pixels": [0.5], "scale": 1.0}]
    judge = jsonschema.Draft202012Validator({**request, "components": document["components"]})
    assert judge.is_valid({"pixels": [1]}) and not judge.is_valid({"pixels": ["x"]})
    answer = invocations["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/Answer"}
    told = invocations["responses"]["422"]["content"]["application/json"]["schema"]
    jsonschema.validate(server.invoke({"pixels": 5}).json, told)


def test_an_example_that_is_not_of_the_type_is_a_warning(start: Start) -> None:
    server = start(
        TYPES + PLAIN + "\n    def example_request(): return {'pixels': ['x']}\n"
    ).ready()
    assert 'pixels[0]: expected a number, got \\"x\\"' in server.log()
    assert server.invoke({"pixels": [1]}).status == 200


def test_types_that_cannot_be_read_are_a_warning(start: Start) -> None:
    server = start(
        """
        def load(): return None
        def predict(model, request: "Missing"): return request
        """
    ).ready()
    assert "name 'Missing' is not defined" in server.log()
    assert server.invoke({"a": [1]}).json == {"a": [1]}


SCORES = """
    import dataclasses, typing

    @dataclasses.dataclass
    class Scored:
        scores: list[float]

    def load(): return None
"""
SERVES = {
    "plain": """
    def predict(model, request) -> Scored: return {"scores": request}
    """,
    "async": """
    async def predict(model, request) -> Scored: return Scored(request)
    """,
    "batch": """
    def predict(model, request): ...
    def predict_batch(model, requests) -> list[Scored]: return [*map(Scored, requests)]
    """,
}


@pytest.mark.parametrize("case", SERVES)
def test_a_wrong_response_of_a_local_endpoint_is_a_500_that_names_the_place(
    start: Start, case: str
) -> None:
    server = start(SCORES + SERVES[case], SAGETURNER_LOCAL="1").ready()
    assert server.invoke([1, 2]).json == {"scores": [1, 2]}
    wrong = server.invoke([1, 2, 3, "x"])
    fault = {"at": "answer.scores[3]", "message": 'expected a number, got "x"'}
    assert wrong.status == 500
    assert wrong.json == {"error": {"type": "InvalidAnswer", **fault, "faults": [fault]}}
    assert "answer.scores[3]: expected a number" in server.log()


@pytest.mark.parametrize("word", ["", "async "])
def test_each_yield_of_a_stream_is_checked(start: Start, word: str) -> None:
    source = f"""
        import typing
        def load(): return None
        {word}def predict(model, request) -> typing.{word.strip().title()}Iterator[int]:
            for each in request: yield each
    """
    server = start(source, serving={"check_answers": True}).ready()
    assert server.invoke([1, 2]).body == b"1\n2\n"
    assert server.invoke(["x"]).error["at"] == "answer[0]"
    with pytest.raises(http.client.IncompleteRead) as broken:
        server.invoke([1, "x"])
    first, last = broken.value.partial.splitlines()
    assert (first, json.loads(last)["error"]["at"]) == (b"1", "answer[1]")


def test_by_default_a_sample_of_the_responses_is_checked_and_only_logged(start: Start) -> None:
    server = start(SCORES + SERVES["plain"]).ready()
    assert [server.invoke("x").status for _ in range(3)] == [200, 200, 200]
    told = [line for line in server.lines() if "signature" in line["message"]]
    assert len(told) == 1 and "answer.scores: expected a list" in told[0]["message"]
    unchecked = start(SCORES + SERVES["plain"], serving={"check_answers": False}).ready()
    assert unchecked.invoke("x").status == 200
    assert "signature" not in unchecked.log()
