"""Render predictions as static HTML: tables, pictures or trees.

Nothing here needs a script or a kernel: lists fold with <details>.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeGuard

from markupsafe import Markup

from sageturner_magic import rendering
from sageturner_magic.deployment import Tried
from sageturner_magic.endpoints import Prediction, client_snippets, media_type
from sageturner_magic.notebook.display.html import Shown, findings_html, snippets_html
from sageturner_magic.notebook.display.markup import (
    box,
    facts_table,
    fill,
    fill_each,
    preformatted,
    table,
    text,
)
from sageturner_magic.text import nearby

TREE_ITEMS = 200
"""Entries shown of one list or object; the rest is counted."""

PREVIEWED = 4
"""How many of many numbers stand where the others are folded."""

TABLE_ROWS = 50
TABLE_COLUMNS = 30
PROSE_CHARACTERS = 20_000
TREE_DEPTH = 50
TREE_CHARACTERS = 60_000
"""Of the values in one tree together; a saved notebook stays small."""

PICTURES = (
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/bmp",
    # As the source of an <img> its scripts do not run.
    "image/svg+xml",
)


def prediction_html(prediction: Prediction, remark: str = "") -> Markup:
    """Show a prediction, its response (and a remark on that), and how to send the request."""
    summary = " · ".join(filter(None, (rendering.prediction_summary(prediction), remark)))
    lines = client_snippets(prediction.endpoint, prediction.request) if prediction.request else ()
    return box(
        value_html(prediction.value, prediction.content_type, prediction.body),
        fill("<p><small>{}</small></p>", summary),
        snippets_html(lines),
    )


def tried_shown(tried: Tried) -> Shown:
    """What came of trying a model in a clean process."""
    value, trial = tried.value, tried.trial
    body = value if isinstance(value, bytes) else b""
    html = box(
        value_html(value, trial.content_type, body) if trial.asked else Markup(),
        fill(
            "<p><small>{}<br>Code: {}</small></p>",
            *(rendering.tried_summary(tried), nearby(tried.origin)),
        ),
        findings_html(tried.findings),
    )
    return Shown(tried, rendering.tried_text(tried), html)


def value_html(value: Any, content_type: str, body: bytes) -> Markup:
    """Show the decoded response alone; `body` is what was decoded."""
    media = media_type(content_type)
    if media in PICTURES and body:
        return fill(
            '<img src="data:{};base64,{}" alt="The picture that was predicted">',
            *(media, Markup(base64.b64encode(body).decode())),
        )
    if isinstance(value, bytes):
        return fill("<p>{:,} bytes of {}</p>", len(value), media)
    if isinstance(value, str):
        return preformatted(value, PROSE_CHARACTERS)
    if _is_records(value):
        return _records_html(value)
    if _is_flat(value):
        return facts_table((text(key, 200), tree(item)) for key, item in value.items())
    return tree(value)


def _folds(value: object) -> bool:
    return isinstance(value, (dict, list))


def _is_numbers(value: object) -> TypeGuard[Sequence[float]]:
    return isinstance(value, (list, tuple)) and all(
        isinstance(item, (int, float)) for item in value
    )


def _is_flat(value: object) -> bool:
    return (
        isinstance(value, dict)
        and 0 < len(value) <= TABLE_ROWS
        and not any(map(_folds, value.values()))
    )


def _is_records(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(row, dict) and 0 < len(row) <= TABLE_COLUMNS for row in value)
    )


def _records_html(records: list[dict[str, Any]]) -> Markup:
    rows = records[:TABLE_ROWS]
    head = list(dict.fromkeys(key for row in rows for key in row))[:TABLE_COLUMNS]
    shown = _Tree(open_depth=0)
    cells = [[shown.cell(row[key]) if key in row else "" for key in head] for row in rows]
    more = len(records) - TABLE_ROWS
    note = fill("<p><small>{:,} more rows</small></p>", more) if more > 0 else Markup()
    figures = [at for at, key in enumerate(head) if _is_numbers([row.get(key, 0) for row in rows])]
    return table([text(key, 200) for key in head], cells, figures) + note


def tree(value: object) -> Markup:
    """Show a JSON value as nested lists that fold; the first two levels are open."""
    return _Tree(open_depth=2).html(value)


class _Tree:
    """Writes values as nested lists until there is enough to look at."""

    def __init__(self, open_depth: int) -> None:
        self._open_depth = open_depth
        self._left = TREE_CHARACTERS

    def cell(self, value: object) -> Markup:
        """A value in a table, where words and numbers need no frame of their own."""
        if isinstance(value, (Mapping, list, tuple)) or hasattr(value, "tolist"):
            return self.html(value)
        shown = text(_leaf_text(value))
        self._left -= len(shown)
        return shown if self._left > 0 else Markup("…")

    def html(self, value: object, depth: int = 0) -> Markup:
        pairs: Iterable[tuple[Markup, object]]
        if self._left <= 0 or depth >= TREE_DEPTH:
            return Markup("…")
        if isinstance(value, Mapping):
            kind = "key"
            pairs = ((fill("<b>{}</b>: ", text(str(key), 200)), value[key]) for key in value)
        elif isinstance(value, (list, tuple)) and (
            len(value) > TREE_ITEMS or any(map(_folds, value))
        ):
            kind = "item"
            pairs = ((fill("{}: ", index), item) for index, item in enumerate(value))
        else:
            leaf = self._leaf(value)
            self._left -= len(leaf)
            return leaf
        if _is_numbers(value):
            return self._numbers(value)
        items = fill_each(
            "<li>{}{}</li>",
            ((label, self.html(item, depth + 1)) for label, item in islice(pairs, TREE_ITEMS)),
        )
        if len(value) > TREE_ITEMS:
            items += fill("<li>… {:,} more</li>", len(value) - TREE_ITEMS)
        return fill(
            "<details{}><summary>{:,} {}{}</summary><ul>{}</ul></details>",
            " open" if depth < self._open_depth else "",
            *(len(value), kind, "" if len(value) == 1 else "s", items),
        )

    def _numbers(self, value: Sequence[float]) -> Markup:
        """Many numbers: the first of them, and more when unfolded."""
        first = rendering.as_json(value[:PREVIEWED])[1:-1]
        items = text(rendering.as_json(value[:TREE_ITEMS])[:-1], TREE_CHARACTERS)
        self._left -= len(items)
        return fill(
            "<details><summary>{:,} numbers: {}, …</summary>"
            "<code>{}, … {:,} more]</code></details>",
            *(len(value), first, items, len(value) - TREE_ITEMS),
        )

    def _leaf(self, value: object) -> Markup:
        if hasattr(value, "tolist"):
            return preformatted(str(value))
        return fill("<code>{}</code>", _leaf_text(value))


def _leaf_text(value: object) -> str:
    return value if isinstance(value, str) else rendering.as_json(value)
