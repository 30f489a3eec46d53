"""The HTML of every output."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.notebook.display.markup import fill, preformatted, without_maths


class Texts(HTMLParser):
    """The pieces of text of a document, as an engine for formulas sees them: up to each tag."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.pieces = [""]
        self._skipped = 0
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.pieces.append("")
        self._skipped += tag in ("pre", "svg")

    def handle_endtag(self, tag: str) -> None:
        self.pieces.append("")
        self._skipped -= tag in ("pre", "svg")

    def handle_data(self, data: str) -> None:
        self.pieces[-1] += "" if self._skipped else data


@given(st.lists(st.sampled_from(["$", "\\", "(", "[", "begin{x}", "<", ">", '"', "5 to ", "x"])))
def test_no_piece_of_text_can_be_a_formula_and_all_of_it_is_still_there(words: list[str]) -> None:
    written = "".join(words)
    html = fill('<p title="{}">{}</p>{}', written, written, preformatted(written))
    shown = without_maths(html)
    pieces = Texts(shown).pieces
    assert "".join(pieces) == "".join(Texts(html).pieces)
    for piece in pieces:
        assert piece in ("$", "\\") or not re.search(r"[$\\]", piece)
    assert shown.count("<span>") == len(re.findall(r"[$\\]", written))
