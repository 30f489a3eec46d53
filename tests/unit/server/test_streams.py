"""What clients read of a streamed answer is what predict yielded."""

from __future__ import annotations

import base64
import json
import re

import pytest
import sseclient
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.endpoints.stream_pieces import pieces
from sageturner_magic.errors import InvocationError
from sageturner_magic.server.problems import Problem
from sageturner_magic.server.worker.formats import ChunkEncoder

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
        ("", "image/png", "text/plain; charset=utf-8"),
    ],
)
def test_the_type_of_a_stream_is_accepted(first: object, accept: str, kind: str) -> None:
    assert ChunkEncoder(first, accept, "error").content_type == kind


@pytest.mark.parametrize(
    ("first", "accept"), [({}, "text/plain"), ("a", "image/png"), ({}, "image/*"), (1, "text/csv")]
)
def test_a_stream_that_has_no_accepted_form_is_a_406(first: object, accept: str) -> None:
    with pytest.raises(Problem) as caught:
        ChunkEncoder(first, accept, "error")
    assert caught.value.status == 406


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
