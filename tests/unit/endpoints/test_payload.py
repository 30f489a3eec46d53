"""What a caller passes becomes a request body, and an answer a Python value."""

import datetime
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.endpoints.payload import decode, encode, read_payload
from sageturner_magic.errors import InvocationError, UsageError
from sageturner_magic.values import Request

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_json_comes_back_as_it_was_sent(value):
    request = encode(value)
    assert decode(request.body, request.content_type) == value


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (np.float32(0.5), 0.5),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ({"x": np.int64(3)}, {"x": 3}),
        (pd.DataFrame({"a": [1, 2]}), [{"a": 1}, {"a": 2}]),
        (pd.Series([1.5, 2.5]), [1.5, 2.5]),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        ({"s": {1}}, {"s": [1]}),
    ],
)
def test_what_data_scientists_hold_is_sent_as_json(value, sent):
    assert json.loads(encode(value).body) == sent


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_timeout_that_is_no_time_is_refused_before_anything_is_sent(seconds):
    with pytest.raises(UsageError, match=r"`--timeout` is .* Do: choose more than 0 seconds"):
        encode(1, timeout_s=seconds)


def test_a_number_that_json_does_not_know_is_named_by_its_place():
    with pytest.raises(InvocationError, match=r"at payload\['rows'\]\[1\]"):
        encode({"rows": [1.0, float("nan")]})


def test_nan_inside_an_array_is_named_too():
    with pytest.raises(InvocationError, match=r"at payload\['x'\]\[0\]\[1\]"):
        encode({"x": np.array([[0.0, np.inf]])})


def test_an_object_without_a_json_form_is_named_by_its_type():
    with pytest.raises(InvocationError, match="value of type object"):
        encode({"x": object()})


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF1234WEBP", "image/webp"),
        (b"anything", "application/octet-stream"),
    ],
)
def test_bytes_go_as_they_are_with_the_type_that_they_have(data, content_type):
    assert encode(data) == Request(data, content_type)
    assert encode(data, "x/y") == Request(data, "x/y")


def test_arrays_travel_as_npy():
    request = encode([[1.0, 2.0]], "application/x-npy")
    assert decode(request.body, request.content_type).tolist() == [[1.0, 2.0]]


def test_text_is_sent_as_text_under_a_text_type():
    assert encode("1,2\n", "text/csv") == Request(b"1,2\n", "text/csv")


def test_a_type_that_nothing_encodes_says_so():
    with pytest.raises(InvocationError, match="cannot be sent as image/png"):
        encode({"a": 1}, "image/png")


@pytest.mark.parametrize(
    ("body", "content_type", "value"),
    [
        (b'{"a": 1}\n{"a": 2}\n', "application/jsonlines", [{"a": 1}, {"a": 2}]),
        ("é".encode("latin-1"), "text/plain; charset=latin-1", "é"),
        (b"x", "text/plain; charset=nonsense", "x"),
        (b"not json", "application/json", "not json"),
        (b"\x00\x01", "application/x-npy", b"\x00\x01"),
        (b"\x00", "", b"\x00"),
    ],
)
def test_answers_are_decoded_by_their_type_and_never_lost(body, content_type, value):
    assert decode(body, content_type) == value


def test_accept_and_timeout_travel_with_the_payload():
    expected = Request(b"1", "application/json", accept="text/csv", timeout_s=5)
    assert encode(1, accept="text/csv", timeout_s=5) == expected


@pytest.mark.parametrize(
    ("name", "content", "content_type"),
    [
        ("rows.csv", b"1,2", "text/csv"),
        ("picture", b"\x89PNG\r\n\x1a\n....", "image/png"),
        ("unknown", b"....", "application/octet-stream"),
    ],
)
def test_a_file_is_sent_with_the_type_of_its_name_or_of_its_content(
    tmp_path, name, content, content_type
):
    (tmp_path / name).write_bytes(content)
    assert read_payload(tmp_path / name) == (content, content_type)
    assert read_payload(tmp_path / name, "x/y") == (content, "x/y")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        read_payload(tmp_path / "nowhere")
