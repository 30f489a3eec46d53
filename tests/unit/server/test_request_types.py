"""What a request becomes by the type that predict's signature names, and what it is told."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import sys
import typing
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, Optional, TypedDict

import annotated_types
import jsonschema
import numpy as np
import numpy.typing as npt
import pandas as pd
import pydantic
import pytest

from sageturner_magic.server.codec.contract import Contract, Invalid, InvalidAnswer, contract_of
from sageturner_magic.server.codec.formats import to_json


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(NamedTuple):
    x: float
    y: float = 0.5


class Options(TypedDict, total=False):
    top: int
    name: str


@dataclass
class Base:
    id: int


@dataclass
class Digits(Base):
    pixels: Annotated[list[float], annotated_types.Len(4, 4)]
    scale: Annotated[float, annotated_types.Gt(0)] = 1.0
    colour: Colour = Colour.RED
    mode: Literal["fast", "exact", 3, None] = "fast"
    near: Optional[Point] = None  # noqa: UP045
    options: Options | None = None
    tags: dict[str, list[str]] = field(default_factory=dict)
    made: str = field(default="", init=False)
    factor: InitVar[int] = 1

    def __post_init__(self, factor: int) -> None:
        if self.id * factor > 1000:
            raise ValueError("id times factor is at most 1000")


@dataclass
class Tree:
    name: str
    children: list[Tree] = field(default_factory=list)


@dataclass
class Circle:
    radius: float
    kind: Literal["circle"] = "circle"


@dataclass
class Square:
    side: float
    kind: Literal["square"] = "square"


class Model(pydantic.BaseModel):
    age: int = pydantic.Field(ge=0)
    when: tuple[datetime.date, Colour]
    model_config = pydantic.ConfigDict(strict=True)


Even = Annotated[int, pydantic.AfterValidator(lambda value: value * 2)]


def contract(kind: Any) -> Contract:
    def predict(model: Any, request: Any) -> Any: ...

    predict.__annotations__ = {"request": kind}
    return contract_of(predict, None)


def told(kind: Any, request: Any) -> list[str]:
    with pytest.raises(Invalid) as caught:
        contract(kind).request(request)
    assert caught.value.status == 422
    return str(caught.value).split("\n")


def schema_of(described: Mapping[str, Any], part: str = "request") -> dict[str, Any]:
    schema = {**described[part], "components": {"schemas": described["schemas"]}}
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


@pytest.mark.parametrize(
    ("kind", "request_", "expected"),
    [
        (int, 3.0, 3),
        (float, 3, 3.0),
        (None, None, None),
        (list[float], [1, 2.5], [1.0, 2.5]),
        (Sequence[int], [1, 2.0], [1, 2]),
        (list, [1, "a"], [1, "a"]),
        (dict, {"a": 1}, {"a": 1}),
        (dict[int, str], {"7": "a"}, {7: "a"}),
        (dict[Colour, int], {"red": 1}, {Colour.RED: 1}),
        (set[str], ["a", "b"], {"a", "b"}),
        (frozenset[int], [1], frozenset({1})),
        (tuple[int, str], [1, "a"], (1, "a")),
        (tuple[int, ...], [1, 2, 3], (1, 2, 3)),
        (Colour, "green", Colour.GREEN),
        (Level, 2, Level.HIGH),
        (Literal[Colour.RED, 1, True], "red", Colour.RED),
        (int | float, 1, 1),
        (float | int, 1, 1),
        (int | list[int] | None, [1], [1]),
        (list[Circle | Square], [{"side": 1}, {"radius": 2}], [Square(1.0), Circle(2.0)]),
        (Point, {"x": 1}, Point(1.0, 0.5)),
        (Point, [1, 2], Point(1.0, 2.0)),
        (Options, {"top": 3}, {"top": 3}),
        (Tree, {"name": "a", "children": [{"name": "b"}]}, Tree("a", [Tree("b")])),
        (datetime.datetime, "2026-01-31T12:00:00Z",
         datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc)),
        (datetime.date, "2026-01-31", datetime.date(2026, 1, 31)),
        (datetime.timedelta, 1.5, datetime.timedelta(seconds=1.5)),
        (uuid.UUID, "12345678123456781234567812345678", uuid.UUID("12345678" * 4)),
        (decimal.Decimal, 1.25, decimal.Decimal("1.25")),
        (bytes, "aGk=", b"hi"),
        (bytes, b"hi", b"hi"),
        (Even, 4, 8),
        (typing.NewType("Name", str), "a", "a"),
        ("list[Tree]", [{"name": "a"}], [Tree("a")]),
        (list[list[float]], np.array([[1, 2]]), [[1.0, 2.0]]),
        (dict[str, list[int]], {"a": np.array([1, 2])}, {"a": [1, 2]}),
    ],
)  # fmt: skip
def test_a_request_becomes_the_type_that_predict_names(
    kind: Any, request_: Any, expected: Any
) -> None:
    got = contract(kind).request(request_)
    assert got == expected and repr(got) == repr(expected)


def test_a_dataclass_is_made_with_its_own_defaults_parents_and_init() -> None:
    request = {
        "id": 7, "pixels": [0, 1, 2, 3.5], "colour": "green", "mode": None, "near": {"x": 1},
        "options": {"top": 2}, "tags": {"a": ["b"]}, "factor": 2,
    }  # fmt: skip
    assert contract(Digits).request(request) == Digits(
        7, [0.0, 1.0, 2.0, 3.5], 1.0, Colour.GREEN, None, Point(1.0), {"top": 2}, {"a": ["b"]}
    )


@pytest.mark.parametrize(
    ("kind", "request_", "words"),
    [
        (int, True, ["expected a whole number, got true"]),
        (int, 1.5, ["expected a whole number, got 1.5"]),
        (str, 5, ["expected a string, got 5"]),
        (bool, 1, ["expected true or false, got 1"]),
        (list[float], [1, "x", None],
         ['[1]: expected a number, got "x"', "[2]: expected a number, got null"]),
        (dict[str, None], {"a": 1}, ["a: expected null, got 1"]),
        (list[str], {"a": 1}, ["expected a list of strings, got an object"]),
        (dict[str, int], {"a b": "x"}, ['["a b"]: expected a whole number, got "x"']),
        (dict[int, int], {"x": 1}, ["x: the key is not a whole number"]),
        (tuple[int, str], [1], ["[1]: missing: 2 values are expected"]),
        (set[int], [1, 1.0], ["expected a list of whole numbers without equal ones"]),
        (Colour, "gren", ['expected "red" or "green", got "gren"; did you mean "green"?']),
        (int | str, None, ["expected a whole number or a string, got null"]),
        (Circle | Square, {"kind": "square", "side": "x"},
         ['side: expected a number, got "x"']),
        (Point, {}, ["x: missing: a number is expected"]),
        (Options, {"tpo": 1}, ['tpo: unknown; did you mean "top"?']),
        (Tree, {"name": "a", "children": [{"name": 1}]},
         ["children[0].name: expected a string, got 1"]),
        (Annotated[int, annotated_types.Ge(1)], 0, ["expected a number of at least 1, got 0"]),
        (Annotated[int, pydantic.Field(gt=1, multiple_of=2)], 3,
         ["expected a number that is a multiple of 2, got 3"]),
        (Annotated[str, pydantic.StringConstraints(pattern="^a", max_length=2)], "bcd",
         ["expected at most 2 characters, got 3", 'expected a string that matches ^a, got "bcd"']),
        (Annotated[list[int], annotated_types.MaxLen(1)], [1, 2],
         ["[1]: too many: at most 1 whole numbers are expected, got 2"]),
        (Annotated[str, annotated_types.Predicate(str.islower)], "A",
         ['islower does not hold, got "A"']),
        (Model, {"age": -1, "when": ["2026-01-31", "red"]},
         ["age: Input should be greater than or equal to 0"]),
        (str, b"a", ["expected a string, got bytes (JSON needs `Content-Type: application/json`)"]),
    ],
)  # fmt: skip
def test_a_wrong_request_is_told_what_is_expected_and_where(
    kind: Any, request_: Any, words: list[str]
) -> None:
    assert sorted(told(kind, request_)) == sorted(words)


def test_all_faults_are_told_at_once_and_twenty_at_most() -> None:
    faults = told(Digits, {"id": "x", "pixels": [1, 2, 3], "scale": -1.5, "colour": 5, "extra": 1})
    assert faults == [
        'id: expected a whole number, got "x"',
        "pixels[3]: missing: 4 numbers are expected",
        "scale: expected a number above 0, got -1.5",
        'colour: expected "red" or "green", got 5',
        "extra: unknown",
    ]
    assert told(Digits, {"id": 1001, "pixels": [1, 2, 3, 4]}) == ["id times factor is at most 1000"]
    assert len(told(list[int], ["x"] * 1000)) == 20


def test_faults_that_pydantic_finds_have_the_whole_place() -> None:
    (fault,) = told(dict[str, list[Model]], {"a": [{"age": 1, "when": ["x", "red"]}]})
    assert fault.startswith("a[0].when[0]: ")


def test_the_body_has_the_first_fault_as_headline() -> None:
    with pytest.raises(Invalid) as caught:
        contract(Digits).request({"pixels": [1, 2, 3]})
    fault = {"at": "id", "message": "missing: a whole number is expected"}
    other = {"at": "pixels[3]", "message": "missing: 4 numbers are expected"}
    assert json.loads(caught.value.body()) == {
        "error": {"type": "Invalid", **fault, "faults": [fault, other]}
    }


class Opaque:
    pass


@dataclass
class Unresolved:
    known: int
    other: Missing  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    "kind", [Any, object, Opaque, Optional[Opaque], npt.NDArray[np.complex128], Iterator[int]]  # noqa: UP045
)  # fmt: skip
def test_a_type_that_is_not_known_leaves_requests_as_they_are(kind: Any) -> None:
    value = {"a": object()}
    assert contract(kind).request(value) is value
    assert contract(kind).described == {}


def test_a_part_whose_type_is_not_known_is_left_as_it_is() -> None:
    assert contract(list[Opaque]).request([1, "a"]) == [1, "a"]
    assert contract(Unresolved).request({"known": 1.0, "other": 5}) == Unresolved(1, 5)


def test_a_signature_that_cannot_be_read_is_free_and_says_why() -> None:
    found = contract("Nonsense")
    assert found.request({"a": 1}) == {"a": 1}
    assert found.unread == "NameError: name 'Nonsense' is not defined"


def test_no_annotation_is_free() -> None:
    assert contract_of(lambda model, request: 0, None).form is None


def test_the_function_that_serves_is_the_one_whose_types_count() -> None:
    def predict(model: Any, request: Tree) -> str: ...

    def predict_batch(model: Any, requests: list[Point]) -> list[Colour]: ...

    found = contract_of(predict, predict_batch)
    assert found.request([1, 2]) == Point(1.0, 2.0)
    assert found.described["answer"] == {"$ref": "#/components/schemas/Colour"}
    assert contract_of(predict, lambda model, requests: []).form is None


def test_what_is_returned_is_described_too() -> None:
    def predict(model: Any, request: Model) -> AsyncIterator[Model]: ...

    described = contract_of(predict, None).described
    assert described["request"]["properties"]["age"]["minimum"] == 0
    assert described["answer"]["title"] == "Model"


def test_types_that_contain_each_other_are_tried_once_for_each_value() -> None:
    @dataclass
    class Left:
        inner: Left | Right | None
        left: int

    @dataclass
    class Right:
        inner: Left | Right | None
        right: int

    for kind in (Left, Right):
        kind.__annotations__["inner"] = Left | Right | None
    value: Any = None
    for _ in range(60):  # 2 ** 60 readings, if each type read its own inner value.
        value = {"inner": value, "right": 1}
    assert isinstance(contract(Left | Right).request(value), Right)


def test_a_request_that_is_nested_too_deeply_is_refused() -> None:
    value: dict[str, Any] = {"name": "a"}
    for _ in range(900):
        value = {"name": "a", "children": [value]}
    assert told(Tree, value) == ["the request is nested too deeply"]


class Computed(pydantic.BaseModel):
    size: int = pydantic.Field(alias="Size")

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return self.size * 2


@dataclass
class Scored:
    label: str
    scores: list[float]
    when: datetime.datetime | None = None
    made: int = field(default=3, init=False)


def checked(kind: Any, value: Any, *yielded: int) -> list[str]:
    def predict(model: Any, request: Any) -> Any: ...

    predict.__annotations__ = {"return": kind}
    try:
        contract_of(predict, None).check_answer(value, *yielded)
    except InvalidAnswer as error:
        assert (error.status, error.kind) == (500, "InvalidAnswer")
        return str(error).split("\n")
    return []


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, np.int64(3)),
        (float, np.float32(0.5)),
        (bool, np.bool_(True)),
        (list[list[float]], np.zeros((2, 2))),
        (tuple[int, str], (1, "a")),
        (set[int], {1, 2}),
        (dict[int, float], {1: 0.5}),
        (dict[float, int], {0.5: 1}),
        (dict[datetime.date, int], {datetime.date(2026, 1, 31): 1}),
        (bytes, b"hi"),
        (Colour, Colour.RED),
        (Point, Point(1.0, 2.0)),
        (decimal.Decimal, decimal.Decimal("1.25")),
        (Scored, Scored("a", [1.0], datetime.datetime(2026, 1, 31))),
        (Scored, {"label": "a", "scores": np.array([1, 2])}),
        (Model, Model.model_validate_json('{"age": 3, "when": ["2026-01-31", "red"]}')),
        (dict[str, Model], {"a": {"age": 3, "when": ("2026-01-31", "red")}}),
        (list[Computed], [Computed(Size=3)]),
        (Iterator[int], iter([])),
        (Opaque, {"a": 1}),
    ],
)
def test_a_response_is_of_its_type_if_its_json_is(kind: Any, value: Any) -> None:
    assert checked(kind, value) == []


@pytest.mark.parametrize(
    ("kind", "value", "faults"),
    [
        (int, "3", ['answer: expected a whole number, got "3"']),
        (Scored, Scored("a", [1.0, "b"]), ['answer.scores[1]: expected a number, got "b"']),  # type: ignore[list-item]
        (Scored, {"label": 1}, ["answer.label: expected a string, got 1",
                                "answer.scores: missing: a list of numbers is expected"]),
        (Options, {"top": None}, ["answer.top: expected a whole number, got null"]),
        (list[Model], [{"age": -1, "when": ("2026-01-31", "red")}],
         ["answer[0].age: Input should be greater than or equal to 0"]),
    ],
)  # fmt: skip
def test_a_wrong_response_names_the_place(kind: Any, value: Any, faults: list[str]) -> None:
    assert checked(kind, value) == faults


def test_each_value_of_a_stream_is_checked() -> None:
    assert checked(Iterator[int], 3, 7) == []
    assert checked(AsyncIterator[int], "a", 7) == ['answer[7]: expected a whole number, got "a"']


def test_the_schema_of_a_response_has_what_json_has_of_it() -> None:
    def predict(model: Any, request: Any) -> tuple[Scored, Computed]: ...

    described = contract_of(predict, None).described
    made = described["schemas"]["Scored"]["properties"]["made"]
    assert made == {"type": "integer", "default": 3}
    judge = jsonschema.Draft202012Validator(schema_of(described, "answer"))
    value = (Scored("a", []), Computed(Size=3))
    assert judge.is_valid(json.loads(to_json(value, "error")))


@pytest.mark.parametrize(
    ("kind", "value", "dtype", "expected"),
    [
        (np.ndarray, [[1, 2], [3, 4.5]], "float64", [[1, 2], [3, 4.5]]),
        (np.ndarray, [True, False], "bool", [True, False]),
        (np.ndarray, ["a", "bc"], "<U2", ["a", "bc"]),
        (np.ndarray, np.zeros(2), "float64", [0, 0]),
        (Optional[np.ndarray], [1], "int64", [1]),  # noqa: UP045
        (npt.NDArray[np.float32], [1, 2], "float32", [1, 2]),
        (npt.NDArray[np.uint8], [[1, 255.0]], "uint8", [[1, 255]]),
        (npt.NDArray[np.floating], [0.5], "float64", [0.5]),
        (npt.NDArray[np.int64], [], "int64", []),
        (Annotated[np.ndarray, annotated_types.Len(2, 2)], [1, 2], "int64", [1, 2]),
    ],
)
def test_lists_become_an_array_of_the_dtype_that_is_named(
    kind: Any, value: Any, dtype: str, expected: Any
) -> None:
    made = contract(kind).request(value)
    assert isinstance(made, np.ndarray)
    assert (made.dtype, made.tolist()) == (np.dtype(dtype), expected)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the statement `type` is of Python 3.12")
def test_a_named_type_with_parameters_is_the_type_that_it_names() -> None:
    names: dict[str, Any] = {}
    exec("type Pair[T] = tuple[T, T]\ntype Tree[T] = T | list[Tree[T]]", names)
    assert contract(names["Pair"][int]).request([1, 2]) == (1, 2)
    with pytest.raises(Invalid, match=r"\[1\]: expected a whole number"):
        contract(names["Pair"][int]).request([1, "2"])
    assert contract(names["Tree"][int]).request([1, [2, [3]]]) == [1, [2, [3]]]


@pytest.mark.parametrize(
    ("kind", "value", "fault"),
    [
        (np.ndarray, 3, "expected a list of numbers, got 3"),
        (np.ndarray, [1, "a"], '[1]: expected a number, got "a"'),
        (np.ndarray, [[1], [1, 2]], "[1]: expected 1 value, as in the first list, got 2"),
        (np.ndarray, [[1, 2], 3], "[1]: expected a list, got 3"),
        (np.ndarray, [[[1]], [[1, 2]]],
         "expected numbers of at most 64 bits, in lists of one length"),
        (np.ndarray, [2**70], "expected numbers of at most 64 bits, in lists of one length"),
        (npt.NDArray[np.float64], [[1, None]], "[0][1]: expected a number, got null"),
        (npt.NDArray[np.float64], [True], "[0]: expected a number, got true"),
        (npt.NDArray[np.uint8], [[1, 300]],
         "[0][1]: expected a whole number that uint8 holds, got 300"),
        (npt.NDArray[np.int64], [0.5], "[0]: expected a whole number that int64 holds, got 0.5"),
        (npt.NDArray[np.bool_], [1], "[0]: expected true or false, got 1"),
    ],
)  # fmt: skip
def test_what_is_no_such_array_names_the_place(kind: Any, value: Any, fault: str) -> None:
    assert told(kind, value) == [fault]


class Reading(TypedDict):
    age: int
    when: datetime.date


@pytest.mark.parametrize("value", [[{"x": 1, "y": 0.5}], {"x": [1], "y": [0.5]}])
def test_rows_or_columns_become_a_table(value: Any) -> None:
    made = contract(pd.DataFrame).request(value)
    pd.testing.assert_frame_equal(made, pd.DataFrame({"x": [1], "y": [0.5]}))


def test_a_class_names_the_columns_of_a_table() -> None:
    made = contract(Annotated[pd.DataFrame, Point]).request({"x": [1, 2.5]})
    pd.testing.assert_frame_equal(made, pd.DataFrame({"x": [1.0, 2.5], "y": [0.5, 0.5]}))
    assert [*contract(Annotated[pd.DataFrame, Circle]).request([])] == ["radius", "kind"]
    made = contract(Annotated[pd.DataFrame, Reading]).request([{"age": 1, "when": "2026-01-31"}])
    assert made["when"].tolist() == [datetime.date(2026, 1, 31)]
    assert told(Annotated[pd.DataFrame, Reading], [{"age": "x", "wen": 1}]) == [
        '[0].age: expected a whole number, got "x"',
        '[0].when: missing: a date such as "2026-01-31" is expected',
        '[0].wen: unknown; did you mean "when"?',
    ]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"a": [1], "b": [1, 2]}, "b: expected 1 value, as in the first column, got 2"),
        ({"a": 3}, "a: expected a list, got 3"),
        ([1], "[0]: expected a row (an object or a list), got 1"),
        ("x", 'expected a list of rows, got "x"'),
    ],
)
def test_what_is_no_table_names_the_place(value: Any, fault: str) -> None:
    assert told(pd.DataFrame, value) == [fault]


def test_a_table_that_is_returned_has_the_rows_of_its_class() -> None:
    kind = Annotated[pd.DataFrame, Circle]
    assert checked(kind, pd.DataFrame({"radius": [1.5], "kind": ["circle"]})) == []
    assert checked(kind, pd.DataFrame({"radius": ["x"]})) == [
        'answer[0].radius: expected a number, got "x"'
    ]
