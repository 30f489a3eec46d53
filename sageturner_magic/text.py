"""Make untrusted text safe to show, and format figures.

A terminal obeys escape sequences and a browser reorders letters after an override, so that what is
shown could be something else than what was written. Such characters are shown as symbols.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sageturner_magic.values import Artefact


_KEPT = {"\t", "\n"}


def _symbols() -> dict[int, str]:
    symbols = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in _KEPT}
    symbols[0x7F] = "\N{SYMBOL FOR DELETE}"
    # C1 controls (a terminal takes U+009B for an escape sequence) and line separators.
    named = [*range(0x80, 0xA0), 0x2028, 0x2029]
    # Marks, embeddings, overrides and isolates: they reorder what stands around them. Letters
    # that are written from right to left need none of them.
    named += [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    named += [0xFEFF, *range(0xD800, 0xE000)]
    return symbols | {code: f"\\u{code:04x}" for code in named}


_SYMBOLS = _symbols()


def visible(text: str) -> str:
    """`text` with every control character shown as a symbol, except tabs and line ends.

    A line that ends in CR LF keeps its LF alone.
    """
    return text.replace("\r\n", "\n").translate(_SYMBOLS)


TEXT_LENGTH = 2000
"""Characters that are shown of one value."""


def clip(text: str, length: int = TEXT_LENGTH) -> str:
    """At most `length` characters, and how many were left out."""
    if len(text) <= length:
        return text
    return f"{text[:length]}… ({len(text) - length:,} more characters)"


def excerpt(text: str, lines: int = 200, length: int = TEXT_LENGTH) -> str:
    """The last `lines` lines of a log or traceback, at most `length` characters of each."""
    return "\n".join(clip(line, length) for line in text.rstrip().splitlines()[-lines:])


def kind_of(value: object) -> str:
    """`a str`, `an int`, `None`: the type of a value that does not fit."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIO' else 'a'} {name}"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`, `1 h 2 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def moment(seconds: float) -> str:
    """A time (seconds since 1970) as `2026-11-29 21:00 UTC`."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def size(count: float) -> str:
    """Bytes as `512 B`, `3.4 MB`, `1.2 GB` (powers of 1000, as registries and S3 show them)."""
    if count < 1000:
        return f"{count:.0f} B"
    units = ("kB", "MB", "GB")
    power = min(int(math.log10(count * 1.0005) // 3), len(units))
    count /= 1000**power
    return f"{count:.1f} {units[power - 1]}" if count < 99.95 else f"{count:.0f} {units[power - 1]}"


def brief(seconds: float) -> str:
    """`0.3 ms`, `41 ms`, and from a second on as `duration`."""
    if seconds >= 0.9995:
        return duration(seconds)
    return f"{seconds * 1000:.1f} ms" if seconds < 0.00995 else f"{seconds * 1000:.0f} ms"


def artefact_text(value: Artefact | None) -> str:
    """`none`, `1 file, 3.4 MB`, `12 files, 1.2 GB`."""
    if value is None:
        return "none"
    files = "1 file" if value.files == 1 else f"{value.files} files"
    return f"{files}, {size(value.size)}"


def nearby(origin: str) -> str:
    """Where code came from, a folder below the working directory as a relative path."""
    with suppress(ValueError):
        return str(Path(origin).relative_to(Path.cwd()))
    return origin


def milliseconds(value: float) -> str:
    """`0.84 ms`, `12.3 ms`, `1,240 ms`."""
    return (
        f"{value:,.2f} ms"
        if value < 10
        else f"{value:,.1f} ms"
        if value < 100
        else f"{value:,.0f} ms"
    )


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
