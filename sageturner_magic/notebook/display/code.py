"""Highlight code and diffs in the colours of the front end's editor."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup
from pygments.lexer import Lexer
from pygments.lexers import DiffLexer, PythonLexer, YamlLexer
from pygments.token import Comment, Generic, Keyword, Name, Number, Operator, String, _TokenType

from sageturner_magic.notebook.display.markup import fill, text
from sageturner_magic.notebook.display.style import COLOURS

COLOUR_OF: dict[_TokenType, str] = {
    Keyword: "var(--jp-mirror-editor-keyword-color,#008000)",
    Operator.Word: "var(--jp-mirror-editor-keyword-color,#008000)",
    Name.Builtin: "var(--jp-mirror-editor-builtin-color,#008000)",
    Name.Function: "var(--jp-mirror-editor-def-color,#00f)",
    Name.Class: "var(--jp-mirror-editor-def-color,#00f)",
    Name.Tag: "var(--jp-mirror-editor-def-color,#00f)",
    Name.Decorator: "var(--jp-mirror-editor-meta-color,#a2f)",
    String: "var(--jp-mirror-editor-string-color,#ba2121)",
    Number: "var(--jp-mirror-editor-number-color,#080)",
    Comment: "var(--jp-mirror-editor-comment-color,#408080)",
    Generic.Inserted: COLOURS["good"],
    Generic.Deleted: COLOURS["bad"],
    Generic.Subheading: COLOURS["accent"],
    Generic.Heading: COLOURS["dim"],
}
"""Kind of token -> colour; a kind that is not here has that of the kind above it."""

HIGHLIGHTED = 12_000
"""Characters that are coloured; longer code is shown plain, so that a notebook stays small."""


def _lexer(code: str) -> Lexer:
    """What reads `code`: a diff, a configuration, or else Python."""
    first = code.partition(" ")[0]
    kind = {"---": DiffLexer, "name:": YamlLexer}.get(first, PythonLexer)
    return kind(stripnl=False, ensurenl=False)


def highlighted(code: str, length: int) -> Markup:
    """Show at most `length` characters of code with its tokens coloured."""
    shown = text(code, length)
    if len(code) <= min(length, HIGHLIGHTED):
        shown = Markup().join(_coloured(code))
    # A line that does not fit is scrolled: names do not break inside a word.
    return fill('<pre style="white-space:pre;overflow-x:auto"><code>{}</code></pre>', shown)


def _coloured(code: str) -> Iterator[Markup]:
    for kind, value in _lexer(code).get_tokens(code):
        colour = _colour(kind)
        shown = text(value, len(value))
        yield fill('<span style="color:{}">{}</span>', Markup(colour), shown) if colour else shown


def _colour(kind: _TokenType) -> str:
    above: _TokenType | None = kind
    while above is not None and above not in COLOUR_OF:
        above = above.parent
    return COLOUR_OF[above] if above is not None else ""
