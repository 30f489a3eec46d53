"""Draw small figures as inline SVG in the theme's colours.

Where a viewer strips SVG, as for untrusted notebooks, the numbers beside a figure remain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from sageturner_magic.notebook.display.markup import fill

INK = "var(--jp-ui-font-color2,#767676)"
FILL = "var(--jp-brand-color1,#1976d2)"
BAD = "var(--jp-error-color1,#d32f2f)"
EDGE, CHARACTER = 90, 7.0
"""Pixels from the right edge where names stand left of their lines; of one character at most."""
FONT = "font-family:var(--jp-ui-font-family,sans-serif);font-size:11px"


def bars(
    values: Sequence[float],
    labels: Sequence[str],
    *,
    title: str,
    axes: tuple[str, str],
    marks: Sequence[tuple[float, str]] = (),
    width: int = 560,
    height: int = 166,
) -> Markup:
    """Draw a bar chart.

    Args:
        values: One for each bar.
        labels: Of the left edges of the bars, and of the right edge of the last one.
        title: What it shows, for those who cannot see it.
        axes: What the bars stand on, and what their heights are.
        marks: Positions in bars (2.5: in the middle of the third) with what they are.
        width, height: In pixels.
    """
    if not values:
        return Markup()
    left, right, top, bottom = 50.0, 12.0, 28.0, 36.0
    step = (width - left - right) / len(values)
    full = height - top - bottom
    highest = max(values) or 1
    base = height - bottom
    parts = [
        _bar(
            left + place * step + 0.5,
            base - full * value / highest,
            max(step - 1, 0.5),
            full * value / highest,
        )
        for place, value in enumerate(values)
        if value
    ]
    parts += [
        _line(left, base, width - right, base),
        _text(left - 5, base + 3, "0", "end"),
        _text(left - 5, top + 8, f"{highest:,.0f}", "end"),
        _text(left - 5, top - 8, axes[1], "end"),
        _text((left + width - right) / 2, height - 4, axes[0], "middle"),
    ]
    every = max(1, -(-len(labels) // 7))
    for place in range(0, len(labels), every):
        x = left + place * step
        anchor = "end" if x > width - 40 else "middle"
        parts += [_line(x, base, x, base + 3), _text(x, base + 15, labels[place], anchor)]
    names: list[tuple[float, str]] = []
    for position, name in marks:
        x = left + position * step
        parts.append(_line(x, top - 4, x, base, dashed=True))
        # A name that would stand on the one before it is written behind that.
        before = names[-1] if names else (-math.inf, "")
        room = len(before[1]) + (len(name) if x > width - EDGE else 0)
        if x <= before[0] + CHARACTER * room:
            names[-1] = (before[0], f"{before[1]} {name}")
        else:
            names.append((x, name))
    for x, name in names:
        anchor = "end" if x > width - EDGE else "start"
        parts.append(_text(x + (-3 if anchor == "end" else 3), top - 8, name, anchor))
    return _svg(width, height, title, parts)


def spark(
    values: Sequence[float | None],
    *,
    title: str,
    bad: bool = False,
    width: int = 220,
    height: int = 40,
) -> Markup:
    """Draw a small area chart; None is a gap, which no line crosses.

    Args:
        values: From left to right, evenly spaced.
        title: What it shows, for those who cannot see it.
        bad: Drawn in the colour of errors.
        width, height: In pixels.
    """
    known = [value for value in values if value is not None]
    if not known:
        return Markup()
    highest = max(known) or 1
    step = width / max(len(values), 1)
    colour = BAD if bad else FILL
    parts = [
        _bar(
            place * step,
            height - 1 - (height - 4) * value / highest,
            max(step - 0.6, 0.6),
            max((height - 4) * value / highest, 0.8),
            colour,
        )
        for place, value in enumerate(values)
        if value is not None and (value or not bad)
    ]
    parts.append(_line(0, height - 0.5, width, height - 0.5))
    return _svg(width, height, title, parts)


def _svg(width: int, height: int, title: str, parts: Sequence[Markup]) -> Markup:
    return fill(
        '<svg viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img"'
        ' class="mathjax_ignore tex2jax_ignore" style="max-width:100%;height:auto;{2}"'
        ' aria-label="{3}"><title>{3}</title>{4}</svg>',
        *(width, height, FONT, title, Markup().join(parts)),
    )


def _bar(x: float, y: float, width: float, height: float, colour: str = FILL) -> Markup:
    return fill(
        '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>',
        *(x, y, width, height, colour),
    )


def _line(x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False) -> Markup:
    return fill(
        '<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}"{}/>',
        *(x1, y1, x2, y2, INK, Markup(' stroke-dasharray="3 3"' if dashed else "")),
    )


def _text(x: float, y: float, words: str, anchor: str) -> Markup:
    return fill(
        '<text x="{:.1f}" y="{:.1f}" fill="{}" text-anchor="{}">{}</text>',
        *(x, y, INK, anchor, words),
    )
