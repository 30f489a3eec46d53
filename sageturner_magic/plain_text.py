"""Text of others (logs, predictions, messages of AWS) made safe to look at.

A terminal obeys escape sequences and a browser reorders letters after an override, so that what is
shown could be something else than what was written. Such characters are shown as symbols.
"""

from __future__ import annotations

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
