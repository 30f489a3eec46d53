from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sageturner_magic.image.docker.engine import OutputLines


def test_a_line_that_arrives_in_coloured_pieces_is_one_line() -> None:
    lines = OutputLines()
    pieces = ["\x1b[91mE\x1b[0m", "\x1b[91m: \x1b[0m", "\x1b[91mno such package\x1b[0m", "\n"]
    assert [line for piece in pieces for line in lines.feed(piece)] == ["E: no such package"]
    assert lines.end() == []


@settings(deadline=None)
@given(st.lists(st.text("ab \n\r", max_size=6)))
def test_how_text_is_cut_makes_no_difference(pieces: list[str]) -> None:
    cut, whole = OutputLines(), OutputLines()
    # A carriage return that ends a piece is not yet known to belong to a line feed.
    found = [line for piece in pieces for line in cut.feed(piece)] + cut.end()
    assert found == whole.feed("".join(pieces)) + whole.end()
