"""Hold the one visual language: colours, type, spacing and signs.

Results carry it in `style` attributes, because a saved notebook keeps no style sheet; widgets carry
it in a sheet. All colours come from the front end's theme.
"""

from __future__ import annotations

from typing import Literal

from markupsafe import Markup

from sageturner_magic.notebook.display.markup import fill

Tone = Literal["good", "bad", "warn", "accent", "dim"]


def _readable(variable: str, fallback: str) -> str:
    """A colour of the theme, mixed with its text so that it is readable on its background."""
    text = "var(--jp-content-font-color0,#111)"
    return f"color-mix(in srgb,var({variable},{fallback}) 62%,{text})"


COLOURS: dict[Tone, str] = {
    "good": _readable("--jp-success-color1", "#2e7d32"),
    "bad": _readable("--jp-error-color1", "#c62828"),
    "warn": _readable("--jp-warn-color1", "#b26a00"),
    "accent": _readable("--jp-brand-color1", "#1565c0"),
    "dim": "var(--jp-ui-font-color2,#616161)",
}
"""Tone -> colour of text."""

FILL = "var(--jp-brand-color1,#1976d2)"
BAD_FILL = "var(--jp-error-color1,#d32f2f)"
INK = COLOURS["dim"]
"""Of figures: bars, bars of errors, lines and words."""

TEXT_FONT = "var(--jp-ui-font-family,sans-serif)"
CODE_FONT = "var(--jp-code-font-family,monospace)"
SMALL = "12px"
PANEL = "var(--jp-layout-color2,#f5f5f5)"
"""The background of what was written by programs: logs and previews."""

TONES: dict[str | None, Tone] = {
    "done": "good",
    "reused": "good",
    "failed": "bad",
    "cancelled": "warn",
    "running": "accent",
    "error": "bad",
    "warning": "warn",
    "note": "dim",
    None: "dim",
}
"""State of a step, or severity of a finding -> tone."""


def toned(tone: Tone, content: object) -> Markup:
    """Show `content` in the colour of `tone`."""
    return fill('<span style="color:{}">{}</span>', Markup(COLOURS[tone]), content)


def headline(tone: Tone, sign: str, content: object) -> Markup:
    """Show the first line of a result: a sign in its colour, then what it says in bold."""
    return fill('<p>{} <b style="font-size:115%">{}</b></p>', toned(tone, sign), content)


def colour_rules(scope: str) -> Markup:
    """Rules of a style sheet: each state's class in its colour within `scope`."""
    return Markup(
        "\n".join(
            f"{scope} .{state or 'dim'}{{color:{COLOURS[tone]}}}" for state, tone in TONES.items()
        )
    )
