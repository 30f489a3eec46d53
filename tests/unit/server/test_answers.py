from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import io
import json
import math
import uuid
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import hypothesis.extra.numpy
import numpy as np
import pandas as pd
import pydantic
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.server.codec.formats import answers, fastjson, values
from sageturner_magic.server.problems import Problem


@pytest.fixture(params=["orjson", "the standard library"], autouse=True)
def reader(request: pytest.FixtureRequest) -> Iterator[None]:
    fastjson.find("") if request.param == "orjson" else None
    yield
    fastjson.module = None


def through_json(value: Any, nan: str = "error") -> Any:
    text = values.to_json(value, nan).decode()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


class Colour(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: float


class Item(pydantic.BaseModel):
    name: str
    price: decimal.Decimal


@dataclasses.dataclass
class Nested:
    values: Any


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (np.int8(-3), -3),
        (np.bool_(False), False),
        (np.str_("a"), "a"),
        (np.array(5), 5),
        (np.array([[1, 2], [3, 4]], order="F"), [[1, 2], [3, 4]]),
        (np.arange(6)[::2], [0, 2, 4]),
        (np.array([1.5], dtype=">f8"), [1.5]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([1, "x", None], dtype=object), [1, "x", None]),
        (np.datetime64("2024-01-02"), "2024-01-02T00:00:00"),
        (np.array(["2024-01-02", "NaT"], dtype="datetime64[s]"), ["2024-01-02T00:00:00", None]),
        *(
            (
                np.array([["2024-01-04", "NaT"]], dtype=f"M8[{unit}]"),
                [["2024-01-04T00:00:00", None]],
            )
            for unit in ("ns", "us", "ms", "s", "m", "h", "D", "W")
        ),
        ([np.timedelta64(90, "s")], [90.0]),
        (np.array([1, "NaT"], dtype="m8[s]"), [1.0, None]),
        (np.timedelta64(1_500, "ms"), 1.5),
        (np.timedelta64(2**62, "W"), 2.0**62 * 604_800),
        (np.array([1, 2], dtype=">i4"), [1, 2]),
        (np.longdouble(0.5), 0.5),
        (np.array([0.5], dtype=np.longdouble), [0.5]),
        (scipy.sparse.csr_matrix([[0, 1], [2, 0]]), [[0, 1], [2, 0]]),
        (
            pd.DataFrame({"t": pd.Series(["x", None]), "n": [1.5, 2.5]}),
            [{"t": "x", "n": 1.5}, {"t": None, "n": 2.5}],
        ),
        (np.zeros((0, 3)), []),
        ({np.int64(1): 2}, {"1": 2}),
        (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        (pd.Series([1, 2]), [1, 2]),
        (pd.Index(["a"]), ["a"]),
        ([pd.Timestamp("2024-01-02 03:04"), pd.NaT, pd.NA], ["2024-01-02T03:04:00", None, None]),
        (pd.Series(["a", "b"], dtype="category"), ["a", "b"]),
        (datetime.date(2024, 1, 2), "2024-01-02"),
        (datetime.timedelta(minutes=1), 60.0),
        (decimal.Decimal("3"), 3),
        (decimal.Decimal("0.25"), 0.25),
        (np.float16(0.1), pytest.approx(0.1, 1e-3)),
        (pd.Categorical(["a", None]), ["a", None]),
        (pd.Series(["a", None], dtype="category"), ["a", None]),
        (pd.Series(["a", None]), ["a", None]),
        (pd.array([1, None], dtype="Int64"), [1, None]),
        (np.ma.array([1, 2], mask=[False, True]), [1, None]),
        (np.array([(1, "a")], dtype=[("n", "i4"), ("s", "U1")]), [[1, "a"]]),
        (uuid.UUID(int=2), "00000000-0000-0000-0000-000000000002"),
        ([b"\xff", bytearray(b"a"), memoryview(b"b")], ["/w==", "YQ==", "Yg=="]),
        ({1}, [1]),
        (Colour.RED, "red"),
        ({Colour.RED: 1}, {"red": 1}),
        (Point(1, 2.0), [1, 2.0]),
        (Item(name="a", price=decimal.Decimal("1.5")), {"name": "a", "price": 1.5}),
        (Nested([Nested(np.float32(1))]), {"values": [{"values": 1.0}]}),
        (PurePosixPath("a/b"), "a/b"),
        ({None: 1, True: 2, (1, "a"): 3}, {"null": 1, "true": 2, "1,a": 3}),
        (2**70, 2**70),
        (range(3), [0, 1, 2]),
        ("\ud800", "\ud800"),
        (None, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_become_json(value: Any, expected: Any) -> None:
    assert through_json(value) == expected


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (math.nan, "predict's answer is nan"),
        ({"a": [0.0, math.inf]}, "at a[1] is inf"),
        ({"a": {"b": np.array([[0.0], [np.nan]])}}, "at a.b[1][0] is nan"),
        (pd.DataFrame({"x": [1.0, None]}), "at [1].x is nan"),
        ([np.float32("nan")], "at [0] is"),
        ([decimal.Decimal("sNaN")], "at [0] is nan"),
        ({"s": scipy.sparse.csr_matrix([[0, np.nan]])}, "at s[0][1] is nan"),
        ({"a": 1j}, "at a is of type complex"),
        ({"f": [len]}, "at f[0] is of type builtin_function_or_method"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_has_no_form_for_is_named_by_its_place(value: Any, place: str) -> None:
    with pytest.raises(values.AnswerError, match="predict's answer") as caught:
        values.to_json(value, "error")
    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.datetime64("10000-01-01"), "outside the years"),
        (np.datetime64("294247-01-11"), "outside the years"),
        (np.datetime64("586512-01-01"), "outside the years"),
        (np.array([-1], "M8[Y]") - 2000, "outside the years"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than one column 'a'"),
        ({1: "a", "1": "b"}, "equal as text: '1'"),
        ({True: "a", "true": "b"}, "equal as text: 'true'"),
        ([{"a": {None: 1, "null": 2}}], r"at \[0\].a has keys that are equal as text: 'null'"),
        ({(1, "a"): 1, "1,a": 2}, "equal as text: '1,a'"),
        ({Colour.RED: 1, "red": 2}, "equal as text: 'red'"),
        ({np.int64(1): 1, "1": 2}, "equal as text: '1'"),
        (np.array([1j]), r"at \[0\] is of type complex"),
        ({"z": np.clongdouble(1)}, "at z is of type clongdouble"),
        ([np.complex64(1)], r"at \[0\] is of type complex64"),
        ({"n": [10**5000]}, r"at n\[0\] is an integer of more than"),
        ({"n": [decimal.Decimal("-1E+999999")]}, r"at n\[0\] is an integer of more than"),
        (np.timedelta64(1, "Y"), "timedelta64"),
    ],
)
def test_what_would_lose_something_is_refused(value: Any, words: str) -> None:
    with pytest.raises(values.AnswerError, match=words):
        values.to_json(value, "null")


@given(
    hypothesis.extra.numpy.arrays(
        hypothesis.extra.numpy.scalar_dtypes().filter(lambda dtype: dtype.kind in "biufMm"),
        hypothesis.extra.numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    )
)
def test_arrays_are_the_same_with_and_without_orjson(array: Any) -> None:
    fastjson.find("")
    try:
        with_it = _json_or_reason(array)
    finally:
        fastjson.module = None
    without = _json_or_reason(array)
    if array.dtype.kind == "f" and array.dtype.itemsize < 8 and isinstance(with_it, list):
        # orjson writes the shortest text that means the same in the array's own precision.
        with_it, without = (np.array(each, array.dtype) for each in (with_it, without))
        np.testing.assert_array_equal(with_it, without)
    else:
        assert with_it == without


def _json_or_reason(value: Any) -> Any:
    try:
        return through_json(value, "null")
    except values.AnswerError as error:
        return str(error)


def test_nan_becomes_null_where_that_is_wanted() -> None:
    value = {"a": [math.nan, np.float32("inf"), np.array([1, np.nan])], "b": None, 2**70: -math.inf}
    assert through_json(value, "null") == {
        "a": [None, None, [1.0, None]], "b": None, str(2**70): None,
    }  # fmt: skip


def test_an_answer_that_contains_itself_is_an_error() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(values.AnswerError, match="contains itself"):
        values.to_json(loop, "error")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)  # fmt: skip


@given(JSON_VALUES)
def test_every_json_value_survives(value: Any) -> None:
    assert through_json(value) == value


@given(st.floats(), st.integers(0, 3))
def test_never_is_anything_written_that_is_not_json(number: float, depth: int) -> None:
    value: Any = number
    for _ in range(depth):
        value = {"x": [value]}
    assert through_json(value, "null") is not Ellipsis
    if not math.isfinite(number):
        with pytest.raises(values.AnswerError):
            values.to_json(value, "error")


PICTURE = b"\x89PNG"


@pytest.mark.parametrize(
    ("value", "accept", "content_type", "body"),
    [
        ([1], "*/*", "application/json", b"[1]"),
        ([1], "text/html, application/json;q=0.9, */*;q=0.1", "application/json", b"[1]"),
        ([1], "application/json;q=0.1, application/jsonlines", "application/jsonlines", b"1\n"),
        ([1], "application/json;q=0, */*", "application/jsonlines", b"1\n"),
        ([1], "*/*, application/json; Q=0.000", "application/jsonlines", b"1\n"),
        ([1], "application/*;q=0, */*;q=0.1", "text/csv", b"1\n"),
        ("a", "application/json;q=0, */*", "text/plain; charset=utf-8", b"a"),
        ("a", "text/plain;q=0, text/*", "text/csv", b"a\n"),
        (PICTURE, "application/octet-stream;q=0, */*", "application/json", b'"iVBORw=="'),
        ([1], "application/json;q=0.2, */*;q=0.1", "application/json", b"[1]"),
        ([1], "application/json;q=high", "application/json", b"[1]"),
        ([1], "text/html, *; q=.2", "application/json", b"[1]"),
        ([{"a": 1}, 2], "application/x-ndjson", "application/x-ndjson", b'{"a":1}\n2\n'),
        (np.array([[1, 2]]), "application/jsonlines", "application/jsonlines", b"[1,2]\n"),
        ("hello", "text/plain", "text/plain; charset=utf-8", b"hello"),
        ("hello", "*/*", "application/json", b'"hello"'),
        ([[1, 2.5], ["a,b", None]], "text/csv", "text/csv", b'1,2.5\n"a,b",\n'),
        ([{"a": 1}, {"b": 2}], "text/csv", "text/csv", b"a,b\n1,\n,2\n"),
        ({"a": [1, 2], "b": [3, 4]}, "text/csv", "text/csv", b"a,b\n1,3\n2,4\n"),
        (np.array([1, 2]), "text/csv", "text/csv", b"1\n2\n"),
        (pd.DataFrame({"a": [1]}), "text/csv", "text/csv", b"a\n1\n"),
        (0.5, "text/csv", "text/csv", b"0.5\n"),
        (PICTURE, "*/*", "application/octet-stream", PICTURE),
        (PICTURE, "image/png", "image/png", PICTURE),
        (PICTURE, "application/octet-stream", "application/octet-stream", PICTURE),
        (PICTURE, "application/json", "application/json", json.dumps(
            base64.b64encode(PICTURE).decode()).encode()),
        ([1], "application/vnd.x+json", "application/vnd.x+json", b"[1]"),
    ],
)  # fmt: skip
def test_the_form_of_an_answer_follows_accept(
    value: Any, accept: str, content_type: str, body: bytes
) -> None:
    assert answers.encode(value, accept, "error") == (content_type, body)


def test_arrays_are_sent_as_npy_and_npz() -> None:
    _, body = answers.encode([[1, 2]], "application/x-npy", "error")
    assert np.load(io.BytesIO(body)).tolist() == [[1, 2]]
    _, body = answers.encode({"a": [1], "b": [2.5]}, "application/x-npz", "error")
    loaded = np.load(io.BytesIO(body))
    assert {name: loaded[name].tolist() for name in loaded.files} == {"a": [1], "b": [2.5]}


@pytest.mark.parametrize("name", ["file", "allow_pickle", "../a", ""])
def test_any_name_can_be_an_arrays(name: str) -> None:
    _, body = answers.encode({name: [1]}, "application/x-npz", "error")
    assert np.load(io.BytesIO(body))[name].tolist() == [1]


@pytest.mark.parametrize("value", [{"a": 1}, [object()], [1, [2, 3]]])
def test_what_is_no_array_is_not_sent_as_npy(value: Any) -> None:
    with pytest.raises(Problem) as caught:
        answers.encode(value, "application/x-npy", "error")
    assert caught.value.status == 406
    assert "no array" in caught.value.message or "dict" in caught.value.message


def test_what_is_no_array_is_sent_as_what_else_is_accepted() -> None:
    kind, body = answers.encode({"a": 1}, "application/x-npy, application/json;q=0.5", "error")
    assert (kind, body) == ("application/json", b'{"a":1}')


def test_what_cannot_be_made_is_a_406() -> None:
    with pytest.raises(Problem) as caught:
        answers.encode({"a": 1}, "image/png, text/html", "error")
    assert caught.value.status == 406
