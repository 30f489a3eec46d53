"""Draw small figures as inline SVG in the theme's colours.

Where a viewer strips SVG, as for untrusted notebooks, the numbers beside a figure remain.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from sageturner_magic.notebook.display.markup import fill
from sageturner_magic.notebook.display.style import BAD_FILL, FILL, INK, TEXT_FONT

CHARACTER = 7.0
"""Pixels of one character at most."""
FONT = f"font-family:{TEXT_FONT};font-size:11px"


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
    left, right, bottom = 50.0, 12.0, 36.0
    step = (width - left - right) / len(values)
    placed = _placed([(left + at * step, name) for at, name in marks], left, width - right)
    rows = 1 + max((row for _, _, row, _ in placed), default=0)
    top, height = 16.0 + 12 * rows, height + 12 * (rows - 1)
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
    for x, centre, row, name in placed:
        parts.append(_line(x, top - 4 - 12 * row, x, base, dashed=True))
        parts.append(_text(centre, top - 8 - 12 * row, name, "middle"))
    return _svg(width, height, title, parts)


def _placed(
    marks: Sequence[tuple[float, str]], left: float, right: float
) -> list[tuple[float, float, int, str]]:
    """Give each mark the centre of its name, and a row in which that stands on no other."""
    placed: list[tuple[float, float, int, str]] = []
    for x, name in marks:
        half = CHARACTER * len(name) / 2
        centre = min(max(x, left + half), right - half)
        taken = {
            row
            for _, other, row, said in placed
            if abs(centre - other) < half + CHARACTER * len(said) / 2
        }
        row = next(row for row in range(len(placed) + 1) if row not in taken)
        placed.append((x, centre, row, name))
    return placed


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
    colour = BAD_FILL if bad else FILL
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
