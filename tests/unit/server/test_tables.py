"""What was written in CSV is what predict gets, and what predict returns is what is read."""

from __future__ import annotations

import csv
import datetime
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sageturner_magic.server.codec.formats import decode, fastjson
from sageturner_magic.server.codec.formats.answers import encode
from sageturner_magic.server.codec.formats.tables import Table, read_csv
from sageturner_magic.server.codec.formats.values import AnswerError
from sageturner_magic.server.problems import Problem
from sageturner_magic.server.settings import Csv, Serving


@pytest.fixture(params=["orjson", "the standard library"])
def writer(request: pytest.FixtureRequest) -> Iterator[None]:
    fastjson.find("") if request.param == "orjson" else None
    yield
    fastjson.module = None


def read(text: str, header: bool = False, **rules: str) -> Table:
    content_type = f"text/csv; header={'present' if header else 'absent'}"
    table = decode(text.encode(), content_type, Serving(csv=Csv(**rules))).table
    assert table is not None
    return table


def column(*cells: str) -> list[Any]:
    return [row[0] for row in read("\n".join(f"{cell},x" for cell in cells)).value]


NO_NUMBERS = (
    *("12_34", "1_000", "1_0.5", "١٢", "\uff11\uff12", "00123", "01234", "-012", "+4915112345678"),
    *("1.", ".5", "0x1f", " 12", "12 ", "1e", "1e999", "nan", "NaN", "inf", "-Infinity", "true"),
    "9" * 5000,
)


@pytest.mark.parametrize("cell", NO_NUMBERS)
def test_what_json_does_not_call_a_number_is_text(cell: str) -> None:
    assert column(cell) == [cell]


@pytest.mark.parametrize(
    ("cell", "number"),
    [("0", 0), ("-7", -7), ("12", 12), ("2.50", 2.5), ("1e3", 1000.0), ("1E-2", 0.01),
     ("18446744073709551616", 2**64), ("-0.0", 0.0)],
)  # fmt: skip
def test_what_json_calls_a_number_is_one(cell: str, number: float) -> None:
    (value,) = column(cell)
    assert (value, type(value)) == (number, type(number))


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "2.5"], [1, 2.5]),
        (["1", "", "3"], [1, None, 3]),
        (["1", "x"], ["1", "x"]),
        (["10115", "01234"], ["10115", "01234"]),
        (["1", '"2"'], ["1", "2"]),
        (['"1"'], ["1"]),
        (["", "x", '""'], [None, "x", ""]),
        (["", ""], [None, None]),
        (["1", '""'], ["1", ""]),
    ],
)
def test_a_column_is_numeric_where_it_holds_numbers_alone(
    cells: list[str], values: list[Any]
) -> None:
    assert column(*cells) == values


def test_the_choice_for_each_column_and_the_text_are_in_the_context() -> None:
    table = read('zip,n,note\n01234,1.50,\n"99999",2,\n', header=True)
    assert table.value == [
        {"zip": "01234", "n": 1.5, "note": None},
        {"zip": "99999", "n": 2, "note": None},
    ]
    assert table.types == {"zip": "text", "n": "number", "note": "empty"}
    assert table.cells == [["01234", "1.50", ""], ["99999", "2", ""]]
    assert read("1,a\n2").types == {0: "number", 1: "text"}


def test_the_rule_can_be_chosen() -> None:
    text = '00123,"12",1_000,x,\n'
    assert read(text, types="cell").value == [[123, 12, 1000, "x", ""]]
    assert read(text, types="cell").types == {}
    assert read(text, types="text").value == [["00123", "12", "1_000", "x", ""]]
    assert set(read(text, types="text").types.values()) == {"text"}


def test_a_header_is_expected_where_the_configuration_or_the_request_says_so() -> None:
    present = Serving(csv=Csv(header="present"))
    assert decode(b"a\n1", "text/csv", present).value == [{"a": 1}]
    assert decode(b"a\n1", "text/csv; header=absent", present).value == [["a"], ["1"]]
    assert decode(b"a\n1", "text/csv; header=present").value == [{"a": 1}]


@pytest.mark.parametrize("types", ["infer", "text", "cell"])
def test_names_and_cells_are_text_of_the_plain_type(types: str) -> None:
    table = read('"a",b\n"x",1\n"y ""z""",2\n', header=True, types=types)
    texts = [*table.value[0], *table.types, table.value[0]["a"], *table.cells[0], *table.cells[1]]
    assert {type(text) for text in texts} == {str}
    assert table.cells == [["x", "1"], ['y "z"', "2"]]


@pytest.mark.parametrize(
    "value",
    [[[1.5, float("-inf")]], {"x": [1.0, np.inf]}, np.array([[1, np.inf]]), [{"x": {"y": np.inf}}],
     pd.DataFrame({"x": [1.0, np.inf]}), pd.Series([1.0, np.inf], name="x")],
)  # fmt: skip
def test_an_infinity_is_no_missing_value(value: Any) -> None:
    with pytest.raises(AnswerError, match=r"\[.*is -?inf"):
        encode(value, "text/csv", "error")
    assert b"inf" not in encode(value, "text/csv", "null")[1]


def test_nan_is_a_missing_number_where_that_is_configured() -> None:
    for nan, expected in (("null", [[1], [None], [None]]), ("error", [["1"], ["NaN"], ["-inf"]])):
        assert decode(b"1\nNaN\n-inf\n", "text/csv", Serving(nan=nan)).value == expected
    assert decode(b"nan\n", "text/csv", Serving(nan="null")).value == [[None]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,a\n1,2", "column 'a' more than once"),
        ("a,b\n1", "row 2 has 1 cells"),
        ('a,b\n1,"2', "line 2: a quote is opened"),
        ('a,b\n1,"2"x', "line 2: behind a closing quote"),
    ],
)
def test_a_wrong_table_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(Problem, match=re.escape(words)) as caught:
        read(text, header=True)
    assert caught.value.status == 400


@given(st.text(st.sampled_from('ab1", \r\n\u2028'), max_size=30))
@example('"a""b",\r\n"",\n')
def test_cells_are_those_of_the_standard_library(text: str) -> None:
    try:
        expected = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error:
        expected = []
    try:
        found = read_csv(text, False, "text", "error").cells
    except Problem:
        found = []
    assert found == expected


CELLS = (
    st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["01", "1", "1e5", "1_0", '"', ""])
)  # fmt: skip


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=4))
def test_what_is_sent_back_is_what_was_returned(rows: list[tuple[Any, ...]]) -> None:
    found = decode(encode(rows, "text/csv", "error")[1], "text/csv").value
    for before, after in zip(zip(*rows, strict=True), zip(*found, strict=True), strict=True):
        is_text = any(isinstance(cell, str) for cell in before)
        as_text = tuple(cell if cell is None else str(cell) for cell in before)
        assert after == (as_text if is_text else before)


COUNTS = pd.Series(["b", "a", "b"]).value_counts()


@pytest.mark.usefixtures("writer")
@pytest.mark.parametrize(
    ("value", "as_json", "as_csv"),
    [
        (COUNTS, {"b": 2, "a": 1}, "index,count\nb,2\na,1\n"),
        (pd.Series([3, 1, 3]).value_counts(), {"3": 2, "1": 1}, "index,count\n3,2\n1,1\n"),
        (pd.Series([1.5, 2.5]), [1.5, 2.5], "1.5\n2.5\n"),
        (pd.Series([1, 2], name="score"), [1, 2], "score\n1\n2\n"),
        (pd.Series([1, 2], index=["x", "y"]), {"x": 1, "y": 2}, "index,value\nx,1\ny,2\n"),
        (pd.Series(["p", None], index=["x", "y"]), {"x": "p", "y": None},
         "index,value\nx,p\ny,\n"),
        (pd.Series([1, 2])[[1, 0]], {"1": 2, "0": 1}, "index,value\n1,2\n0,1\n"),
        (pd.Series([1, 2], index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
         {"a,1": 1, "b,2": 2}, "level_0,level_1,value\na,1,1\nb,2,2\n"),
        (pd.DataFrame({"a": [1, 2]}, index=[5, 7]), [{"a": 1}, {"a": 2}], "a\n1\n2\n"),
        (pd.DataFrame({"a": [1, 2]}, index=["x", "y"]),
         [{"index": "x", "a": 1}, {"index": "y", "a": 2}], "index,a\nx,1\ny,2\n"),
        (pd.DataFrame({"k": ["x", "y"], "a": [1, 2]}).groupby("k").mean(),
         [{"k": "x", "a": 1.0}, {"k": "y", "a": 2.0}], "k,a\nx,1.0\ny,2.0\n"),
        (pd.DataFrame({"t": [pd.Timestamp(2024, 1, 2), pd.NaT]}),
         [{"t": "2024-01-02T00:00:00"}, {"t": None}], 't\n2024-01-02T00:00:00\n""\n'),
        (pd.DataFrame({"a": []}), [], "a\n"),
    ],
)  # fmt: skip
def test_labels_are_kept(value: Any, as_json: Any, as_csv: str) -> None:
    assert json.loads(encode(value, "application/json", "error")[1]) == as_json
    assert encode(value, "text/csv", "error") == ("text/csv", as_csv.encode())


@pytest.mark.usefixtures("writer")
def test_a_line_of_json_has_the_label_of_its_value() -> None:
    lines = encode(COUNTS, "application/jsonlines", "error")[1].splitlines()
    assert [json.loads(line) for line in lines] == [
        {"index": "b", "count": 2},
        {"index": "a", "count": 1},
    ]
    assert encode(pd.Series([1, 2], name="n"), "application/jsonlines", "error")[1] == b"1\n2\n"


@pytest.mark.usefixtures("writer")
@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/jsonlines"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than one column 'a'"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), "more than one column '1'"),
        (pd.DataFrame({"k": [1]}, index=pd.Index(["x"], name="k")), "cannot insert k"),
    ],
)
def test_two_columns_of_one_name_are_refused(value: Any, words: str, accept: str) -> None:
    with pytest.raises(AnswerError, match=words):
        encode(value, accept, "error")


@pytest.mark.usefixtures("writer")
def test_two_values_with_one_label_are_refused() -> None:
    with pytest.raises(AnswerError, match="more than one value with the label 'x'"):
        encode(pd.Series([1, 2], index=["x", "x"]), "application/json", "error")


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ([[1, {"a": "é"}], [2, [3, None]]], '1,"{""a"":""é""}"\n2,"[3,null]"\n'),
        ([{"a": [1, 2]}], 'a\n"[1,2]"\n'),
        ({"a": 1, "b": {"c": 2}}, 'a,b\n1,"{""c"":2}"\n'),
        (pd.DataFrame({"a": [[1, 2], {"b": None}]}), 'a\n"[1,2]"\n"{""b"":null}"\n'),
        (np.arange(8).reshape(2, 2, 2), '"[0,1]","[2,3]"\n"[4,5]","[6,7]"\n'),
        ([datetime.date(2024, 1, 2)], "2024-01-02\n"),
        ([["01", "1", 1]], '01,"1",1\n'),
    ],
)
def test_nested_values_are_json_in_their_cell(value: Any, body: str) -> None:
    assert encode(value, "text/csv", "error") == ("text/csv", body.encode())


def test_any_text_is_csv_where_there_is_a_table() -> None:
    assert encode([[1, 2]], "text/*", "error") == ("text/csv", b"1,2\n")
    assert encode("hello", "text/*", "error") == ("text/plain; charset=utf-8", b"hello")
