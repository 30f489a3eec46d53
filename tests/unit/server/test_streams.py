"""What clients read of a streamed answer is what predict yielded."""

from __future__ import annotations

import json
import re

import pytest
import sseclient
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.endpoints.stream_pieces import pieces
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
