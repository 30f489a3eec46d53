"""A streamed answer arrives in the model's pieces, wherever the network cut it."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.endpoints.prediction import PredictionStream, SentRequest
from sageturner_magic.endpoints.stream_pieces import pieces
from sageturner_magic.errors import InvocationError

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner),
    max_leaves=5,
)


@st.composite
def cut(draw, whole):
    """`whole` in chunks of any size."""
    places = sorted(draw(st.sets(st.integers(0, len(whole)))) | {0, len(whole)})
    return [whole[a:b] for a, b in pairwise(places)]


@given(st.data(), st.lists(st.text(min_size=1)))
def test_text_has_no_broken_characters(data, words):
    chunks = data.draw(cut("".join(words).encode()))
    assert "".join(pieces(chunks, "text/plain; charset=utf-8")) == "".join(words)


@given(st.data(), st.lists(JSON_VALUES))
def test_json_lines_are_one_value_a_line(data, values):
    chunks = data.draw(cut("".join(json.dumps(value) + "\n" for value in values).encode()))
    assert list(pieces(chunks, "application/jsonlines")) == values


@given(st.data(), st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"))))
def test_server_sent_events_are_the_text_of_each(data, texts):
    whole = "".join(f"data: {text}\n\n" for text in texts).encode()
    assert list(pieces(data.draw(cut(whole)), "text/event-stream")) == texts


def test_an_event_may_have_several_lines_and_crlf():
    chunks = [b": hello\r\ndata: a\r\nda", b"ta: b\r\n\r\n"]
    assert list(pieces(chunks, "text/event-stream")) == ["a\nb"]


def test_an_error_event_is_an_error():
    body = (
        b'data: one\n\nevent: error\ndata: {"error": {"type": "ValueError", "message": "no"}}\n\n'
    )
    arriving = pieces([body], "text/event-stream")
    assert next(arriving) == "one"
    with pytest.raises(InvocationError, match="ValueError: no"):
        next(arriving)


def test_text_is_handed_over_before_the_line_ends():
    arriving = pieces(iter([b"Once ", b"upon"]), "text/plain")
    assert next(arriving) == "Once "


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", [{"a": 1}]),
        ("application/problem+json", [{"a": 1}]),
        ("application/octet-stream", [b'{"a"', b": 1}"]),
        ("text/plain; charset=no-such", ['{"a"', ": 1}"]),
    ],
)
def test_what_cannot_be_read_in_part_is_one_piece(content_type, expected):
    assert list(pieces([b'{"a"', b": 1}"], content_type)) == expected


def stream(chunks, content_type="text/plain", close=lambda: None):
    return PredictionStream("chat", 200, content_type, iter(chunks), close, SentRequest(b"", ""), 0)


def test_a_stream_keeps_what_arrived_and_when():
    answer = stream([b"Once ", b"upon"])
    assert answer.first_ms is None
    assert next(answer) == "Once "
    assert answer.so_far().value == "Once "
    assert answer.first_ms is not None
    assert list(answer) == ["upon"]
    whole = answer.so_far()
    assert whole == "Once upon" and whole.latency_ms >= answer.first_ms


def test_leaving_a_stream_gives_up_the_rest():
    closed = []
    with stream([b"a", b"b"], close=lambda: closed.append(True)) as answer:
        next(answer)
    assert closed
