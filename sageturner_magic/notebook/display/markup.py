"""Make HTML from templates, and escape whatever is filled in.

A viewer of an untrusted notebook may strip styles, roles and classes, so the HTML reads well as
plain semantic elements.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence

from markupsafe import Markup, escape

from sageturner_magic.text import TEXT_LENGTH, clip, visible

MATHS = re.compile(r"<(pre|svg|style|script)\b.*?</\1>|<[^>]*>|[$\\]", re.DOTALL)
"""Elements in which no formula is looked for, tags, and what a formula may begin or end with."""


def text(foreign: str, length: int = TEXT_LENGTH) -> Markup:
    """Show `foreign` as it was written, at most `length` characters of it."""
    return escape(visible(clip(foreign, length)))


def fill(template: str, *values: object) -> Markup:
    """Replace each `{}` of `template`; what is neither HTML nor a number is shown by `text`."""
    # Markup.format, which is written in Python, takes eight times as long.
    return Markup(template.format(*map(_shown, values)))


def fill_each(template: str, rows: Iterable[Sequence[object]]) -> Markup:
    """Fill `template` with each of `rows`, one after the other."""
    return Markup("".join(fill(template, *row) for row in rows))


def box(*parts: Markup) -> Markup:
    """Put `parts` into the element that holds everything this package shows."""
    return fill('<div class="sageturner">{}</div>', Markup().join(parts))


def without_maths(html: str) -> str:
    """Keep a notebook from reading dollars and backslashes of a text as formulas.

    JupyterLab, Notebook 7 and nbconvert's page run MathJax over HTML outputs. Version 2 and 3 of
    it look for the beginning and the end of a formula in text that no element interrupts.
    """
    return MATHS.sub(lambda found: _alone(found[0]), html)


def mime_bundle(html: str, plain: str) -> dict[str, str]:
    """What a cell shows, for every kind of front end."""
    return {"text/html": without_maths(html), "text/plain": visible(plain)}


def preformatted(foreign: str, length: int = TEXT_LENGTH) -> Markup:
    """Show `foreign` with its line breaks and columns, in a font of equal widths.

    The page that nbconvert makes gives <pre> in an output the font of the words around it; <code>
    keeps its own everywhere.
    """
    return fill("<pre><code>{}</code></pre>", text(foreign, length))


def prose(words: str, length: int = TEXT_LENGTH) -> Markup:
    """Show a sentence of ours, and the names between backticks in it as code."""
    return Markup(re.sub("`([^`\n]+)`", r"<code>\1</code>", str(text(words, length))))


def table(
    head: Sequence[str], rows: Iterable[Sequence[object]], figures: Container[int] = ()
) -> Markup:
    """Make a table of text and HTML.

    Args:
        head: What the columns are called; none where it is empty.
        rows: The cells of each row.
        figures: Columns of numbers, which stand one below the other at their right ends.
    """
    # Jupyter aligns the cells of tables to the right, which suits figures but not words.
    words, numbers = Markup("left"), Markup("right;white-space:nowrap")

    def row(kind: str, cells: Sequence[object]) -> Markup:
        return fill_each(
            f'<{kind} style="text-align:{{}}">{{}}</{kind}>',
            ((numbers if at in figures else words, cell) for at, cell in enumerate(cells)),
        )

    top = fill("<thead><tr>{}</tr></thead>", row("th", head)) if head else Markup()
    body = fill_each("<tr>{}</tr>", ([row("td", cells)] for cells in rows))
    return fill("<table>{}<tbody>{}</tbody></table>", top, body)


def facts_table(facts: Iterable[tuple[str, object]]) -> Markup:
    """Make a table of labels in bold and their values."""
    return table((), [(fill("<b>{}</b>", label), value) for label, value in facts])


def folded(summary: object, content: Markup) -> Markup:
    """Fold `content` below a line that says what it is."""
    template = '<details style="margin:4px 0 10px"><summary>{}</summary>{}</details>'
    return fill(template, summary, content)


def _shown(value: object) -> Markup | int | float:
    return value if isinstance(value, Markup | int | float) else text(str(value))


def _alone(found: str) -> str:
    return found if found[0] == "<" else f"<span>{found}</span>"
