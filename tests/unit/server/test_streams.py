"""What clients read of a streamed answer is what predict yielded."""

from __future__ import annotations

import base64
import csv
import io
import json
import re

import numpy
import pandas
import pytest
import sseclient
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.endpoints.stream_pieces import pieces
from sageturner_magic.errors import InvocationError
from sageturner_magic.server.codec.formats import AnswerError, ChunkEncoder
from sageturner_magic.server.codec.formats.tables import to_csv
from sageturner_magic.server.problems import Problem

SSE = "text/event-stream"


def sent(chunks: list[object], accept: str) -> tuple[str, list[bytes]]:
    encoder = ChunkEncoder(chunks[0], accept, "error")
    return encoder.content_type, [encoder.encode(chunk) for chunk in chunks]


# A CR cannot be told from a LF in an event, a piece without text is no event, and NUL and half
# surrogates are no text for UTF-8.
texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), min_size=1, max_size=20
)


@given(st.lists(texts, min_size=1, max_size=6))
def test_events_are_the_pieces(chunks: list[str]) -> None:
    _, body = sent([*chunks], SSE)
    assert list(pieces(body, SSE)) == chunks
    # A client that nobody here wrote.
    assert [event.data for event in sseclient.SSEClient(iter(body)).events()] == chunks


def test_newlines_of_a_language_model_arrive() -> None:
    chunks: list[object] = ["Hello", "\n", "World\n", "\n\n", "end", "a\u2028b", "a\x0cb", "a\x85b"]
    _, body = sent(chunks, SSE)
    assert list(pieces(body, SSE)) == chunks
    assert len(re.findall(b"\n\n", b"".join(body))) == len(chunks)


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20)), min_size=1, max_size=5))
def test_values_are_a_line_each(chunks: list[object]) -> None:
    kind, body = sent(chunks, "*/*")
    assert [json.loads(line) for line in b"".join(body).split(b"\n") if line] == chunks
    assert list(pieces(body, kind)) == chunks


@pytest.mark.parametrize("accept", ["*/*", "text/plain"])
@given(chunks=st.lists(texts, min_size=1, max_size=6))
def test_text_is_the_pieces_joined(accept: str, chunks: list[str]) -> None:
    kind, body = sent([*chunks], accept)
    assert kind == "text/plain; charset=utf-8"
    assert b"".join(body).decode() == "".join(chunks)


PIECES = texts | st.binary(max_size=9) | st.dictionaries(texts, st.integers(), max_size=2)
JSON_TYPES = ("application/json", "application/jsonlines", "application/x-ndjson", "a/b+json")


@given(st.lists(PIECES, min_size=1, max_size=5), st.sampled_from(JSON_TYPES))
def test_where_json_is_accepted_every_piece_is_a_line_of_it(
    chunks: list[object], accept: str
) -> None:
    kind, body = sent(chunks, accept)
    assert kind == (accept if accept == "application/x-ndjson" else "application/jsonlines")
    found = [json.loads(line) for line in b"".join(body).split(b"\n")[:-1]]
    assert found == [
        base64.b64encode(chunk).decode() if isinstance(chunk, bytes) else chunk for chunk in chunks
    ]


@pytest.mark.parametrize(
    ("first", "accept", "kind"),
    [
        ("a", "text/*", "text/plain; charset=utf-8"),
        ("a", "text/markdown", "text/markdown; charset=utf-8"),
        ("a", "application/octet-stream", "application/octet-stream"),
        ("a", "application/json;q=0.5, text/plain", "text/plain; charset=utf-8"),
        ("a", "image/png, */*;q=0.1", "text/plain; charset=utf-8"),
        (b"a", "image/*", "application/octet-stream"),
        (b"a", "audio/wav", "audio/wav"),
        ({}, "application/*", "application/jsonlines"),
        ({}, "text/plain, text/event-stream", SSE),
        ({}, "text/csv", "text/csv"),
        ([1], "text/*", "text/csv"),
        ({}, "application/jsonlines;q=0, */*", "text/csv"),
        ({}, "application/*;q=0.1, */*", "text/csv"),
        ("a", "text/*;q=0, */*", "application/jsonlines"),
        ("a", "text/plain;q=0, application/jsonlines;q=0, */*", "application/octet-stream"),
        (b"a", "application/octet-stream;q=0, */*", "application/jsonlines"),
        ("", "image/png", "text/plain; charset=utf-8"),
    ],
)
def test_the_type_of_a_stream_is_accepted(first: object, accept: str, kind: str) -> None:
    assert ChunkEncoder(first, accept, "error").content_type == kind


@pytest.mark.parametrize(
    ("first", "accept"),
    [
        ({}, "text/plain"),
        ("a", "image/png"),
        ({}, "image/*"),
        (1, "*/*;q=0"),
        ({}, "text/csv;q=0, text/*"),
        ({}, "text/event-stream;q=0"),
    ],
)
def test_a_stream_that_has_no_accepted_form_is_a_406(first: object, accept: str) -> None:
    with pytest.raises(Problem) as caught:
        ChunkEncoder(first, accept, "error")
    assert caught.value.status == 406


@given(
    st.lists(st.lists(st.none() | st.integers() | texts, min_size=1, max_size=4), min_size=1),
    st.sampled_from(["text/csv", "text/*"]),
)
def test_rows_are_the_csv_of_the_whole_table(rows: list[list[object]], accept: str) -> None:
    kind, body = sent([*rows], accept)
    assert kind == "text/csv"
    assert b"".join(body) == to_csv(rows, "error")
    # In pieces of two rows it is the same.
    pairs: list[object] = [rows[at : at + 2] for at in range(0, len(rows), 2)]
    assert b"".join(sent(pairs, accept)[1]) == to_csv(rows, "error")


@given(st.lists(st.fixed_dictionaries({"a": texts, 'b,"': st.integers() | st.none()}), min_size=1))
def test_rows_with_names_have_one_header(rows: list[dict[str, object]]) -> None:
    body = b"".join(sent([*rows], "text/csv")[1])
    assert body == to_csv(rows, "error")
    assert [*csv.DictReader(io.StringIO(body.decode(), newline=""))] == [
        {name: "" if cell is None else str(cell) for name, cell in row.items()} for row in rows
    ]


def test_tables_arrays_and_nested_values_are_rows_of_a_stream() -> None:
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", None]})
    assert sent([frame, {"b": "y"}, frame.head(1)], "text/csv")[1] == [
        b"a,b\n1,x\n2,\n", b",y\n", b"1,x\n",
    ]  # fmt: skip
    arrays: list[object] = [numpy.array([1, 2]), numpy.ones((2, 2), int), (3, float("nan")), 4]
    assert sent(arrays, "text/csv")[1] == [b"1,2\n", b"1,1\n1,1\n", b"3,\n", b"4\n"]
    assert sent([[1, [2, 3]], []], "text/csv")[1] == [b'1,"[2,3]"\n', b""]


@pytest.mark.parametrize(
    ("chunks", "told"),
    [([{"a": 1}, {"a": 1, "b": 2}], "new column 'b'"), ([[1], {"a": 1}], "names after rows")],
)
def test_a_row_that_does_not_fit_the_header_is_named(chunks: list[object], told: str) -> None:
    with pytest.raises(AnswerError, match=told):
        sent(chunks, "text/csv")


@pytest.mark.parametrize("accept", [SSE, "application/jsonlines"])
def test_a_client_is_told_why_a_stream_ends_early(accept: str) -> None:
    kind, body = sent([{"n": 0}], accept)
    body.append(Problem(500, "ValueError", "in the middle", ("line 1",)).last_words(kind))
    found = pieces(body, kind)
    next(found)
    with pytest.raises(InvocationError, match="in the middle") as raised:
        next(found)
    assert "line 1" in raised.value.report()


def test_an_error_that_a_model_yields_is_a_piece_like_others() -> None:
    chunks: list[object] = [{"error": 0.5}, {"error": {"type": "x"}}, {"error": None, "n": 1}]
    kind, body = sent(chunks, "*/*")
    assert list(pieces(body, kind)) == chunks
