"""Predictions as static HTML: a table for records, a picture for images, a tree for the rest.

Nothing here needs a script or a kernel: lists fold with <details>.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from sageturner_magic.deployment.snippets import snippets
from sageturner_magic.deployment.trial import Tried
from sageturner_magic.notebook.html import (
    Shown,
    findings_html,
    preformatted,
    snippets_html,
    table,
    text,
)
from sageturner_magic.rendering import responses, trials
from sageturner_magic.targets.payload import media_type
from sageturner_magic.targets.prediction import Prediction
from sageturner_magic.text import clip, nearby, visible

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


def prediction_html(prediction: Prediction, remark: str = "") -> str:
    """A prediction, how it was answered (and a remark on that), and how to ask from elsewhere."""
    shown = value_html(prediction.value, prediction.content_type, prediction.body)
    summary = text(" · ".join(filter(None, (responses.prediction_summary(prediction), remark))))
    return (
        f'<div class="sageturner">{shown}<p><small>{summary}</small></p>'
        f"{_snippets_html(prediction)}</div>"
    )


def tried_shown(tried: Tried) -> Shown:
    """What came of trying a model in a clean process."""
    value, trial = tried.value, tried.trial
    body = value if isinstance(value, bytes) else b""
    shown = value_html(value, trial.content_type, body) if trial.asked else ""
    lines = f"{text(trials.tried_summary(tried))}<br>Code: {text(nearby(tried.origin))}"
    html = f"{shown}<p><small>{lines}</small></p>{findings_html(tried.findings)}"
    return Shown(tried, trials.tried_text(tried), f'<div class="sageturner">{html}</div>')


def value_html(value: Any, content_type: str, body: bytes) -> str:
    """The decoded answer alone; `body` is what was decoded."""
    media = media_type(content_type)
    if media in PICTURES and body:
        encoded = base64.b64encode(body).decode()
        return f'<img src="data:{media};base64,{encoded}" alt="The picture that was predicted">'
    if isinstance(value, bytes):
        return f"<p>{len(value):,} bytes of {text(media)}</p>"
    if isinstance(value, str):
        return preformatted(value, PROSE_CHARACTERS)
    if _is_records(value):
        return _records_html(value)
    if (
        isinstance(value, dict)
        and 0 < len(value) <= TABLE_ROWS
        and not any(map(_folds, value.values()))
    ):
        return table((), [[f"<b>{text(key, 200)}</b>", tree(item)] for key, item in value.items()])
    return tree(value)


def _snippets_html(prediction: Prediction) -> str:
    if prediction.request is None:
        return ""
    return snippets_html(snippets(prediction.endpoint, prediction.request))


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


def _records_html(records: list[dict[str, Any]]) -> str:
    rows = records[:TABLE_ROWS]
    head = list(dict.fromkeys(key for row in rows for key in row))[:TABLE_COLUMNS]
    shown = _Tree(open_depth=0)
    cells = [[shown.cell(row[key]) if key in row else "" for key in head] for row in rows]
    more = len(records) - TABLE_ROWS
    note = f"<p><small>{more:,} more rows</small></p>" if more > 0 else ""
    return table([visible(clip(key, 200)) for key in head], cells) + note


def tree(value: object) -> str:
    """A JSON value as nested lists that fold; the first two levels are open."""
    return _Tree(open_depth=2).html(value)


class _Tree:
    """Writes values as nested lists until there is enough to look at."""

    def __init__(self, open_depth: int) -> None:
        self._open_depth = open_depth
        self._left = TREE_CHARACTERS

    def cell(self, value: object) -> str:
        """A value in a table, where words and numbers need no frame of their own."""
        if isinstance(value, (Mapping, list, tuple)) or hasattr(value, "tolist"):
            return self.html(value)
        shown = text(_leaf_text(value))
        self._left -= len(shown)
        return shown if self._left > 0 else "…"

    def html(self, value: object, depth: int = 0) -> str:
        pairs: list[tuple[str, object]]
        if self._left <= 0 or depth >= TREE_DEPTH:
            return "…"
        if isinstance(value, Mapping):
            pairs = [(f"<b>{text(str(key), 200)}</b>: ", item) for key, item in value.items()]
            kind = "1 key" if len(pairs) == 1 else f"{len(pairs):,} keys"
        elif isinstance(value, (list, tuple)) and (
            len(value) > TREE_ITEMS or any(map(_folds, value))
        ):
            pairs = [(f"{index}: ", item) for index, item in enumerate(value)]
            kind = "1 item" if len(pairs) == 1 else f"{len(pairs):,} items"
        else:
            leaf = self._leaf(value)
            self._left -= len(leaf)
            return leaf
        if _is_numbers(value):
            return self._numbers(value)
        items = "".join(
            f"<li>{label}{self.html(item, depth + 1)}</li>" for label, item in pairs[:TREE_ITEMS]
        )
        if len(pairs) > TREE_ITEMS:
            items += f"<li>… {len(pairs) - TREE_ITEMS:,} more</li>"
        unfolded = " open" if depth < self._open_depth else ""
        return f"<details{unfolded}><summary>{kind}</summary><ul>{items}</ul></details>"

    def _numbers(self, value: Sequence[float]) -> str:
        """Many numbers: the first of them, and more when unfolded."""
        first = responses.as_json(value[:PREVIEWED])[1:-1]
        items = text(responses.as_json(value[:TREE_ITEMS])[:-1], TREE_CHARACTERS)
        self._left -= len(items)
        return (
            f"<details><summary>{len(value):,} numbers: {first}, …</summary>"
            f"<code>{items}, … {len(value) - TREE_ITEMS:,} more]</code></details>"
        )

    def _leaf(self, value: object) -> str:
        if hasattr(value, "tolist"):
            return preformatted(str(value))
        return f"<code>{text(_leaf_text(value))}</code>"


def _leaf_text(value: object) -> str:
    return value if isinstance(value, str) else responses.as_json(value)
