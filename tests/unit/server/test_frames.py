from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.server import frames

FRAMES = st.lists(
    st.tuples(st.integers(1, 255), st.integers(0, 2**32 - 1), st.binary(max_size=300))
)


@given(FRAMES, st.lists(st.integers(1, 50)))
def test_frames_survive_however_their_bytes_are_cut(
    sent: list[tuple[int, int, bytes]], cuts: list[int]
) -> None:
    data = b"".join(frames.pack(kind, number, payload) for kind, number, payload in sent)
    reader = frames.FrameReader()
    received = []
    for size in [*cuts, len(data) + 1]:
        piece, data = data[:size], data[size:]
        received.extend(reader.feed(piece))
    assert received == sent


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
    st.dictionaries(
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40),
    ),
    st.binary(max_size=300),
)
def test_a_request_arrives_as_it_was_sent(
    request_id: str, headers: dict[str, str], body: bytes
) -> None:
    pairs = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in headers.items()]
    frame = frames.pack_request(7, frames.request_head(request_id, pairs), body)
    ((kind, number, payload),) = frames.FrameReader().feed(frame)
    assert (kind, number) == (frames.REQUEST, 7)
    head = frames.RequestHead(request_id, headers)
    assert frames.unpack_request(payload) == (head, body)
    assert list(frames.FrameReader().feed(frames.renumber(frame, 8))) == [(kind, 8, payload)]


@given(st.integers(100, 599), st.binary(max_size=300), st.sampled_from(["", "a=b; c"]))
def test_an_answer_arrives_as_it_was_sent(status: int, body: bytes, attributes: str) -> None:
    head = frames.AnswerHead(status, "text/csv; charset=utf-8", attributes)
    frame = frames.pack_answer(frames.ANSWER, 9, head, body)
    ((kind, number, payload),) = frames.FrameReader().feed(frame)
    assert (kind, number) == (frames.ANSWER, 9)
    assert frames.unpack_answer(payload) == (head, body)


def test_an_acknowledgement_holds_a_number_of_bytes() -> None:
    ((_, number, payload),) = frames.FrameReader().feed(frames.pack_acknowledge(3, 70_000))
    assert (number, frames.unpack_acknowledge(payload)) == (3, 70_000)
