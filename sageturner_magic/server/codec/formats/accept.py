"""Read the Accept header (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping


@functools.lru_cache(maxsize=256)
def choices(accept: str) -> tuple[str, ...]:
    """The media ranges of an Accept header, the most wanted first; refused ones are left out."""
    weights = _weights(accept)
    ranked = sorted((-weight, at, kind) for at, (kind, weight) in enumerate(weights.items()))
    return tuple(kind for weight, _, kind in ranked if weight) or (() if weights else ("*/*",))


@functools.lru_cache(maxsize=256)
def lets(accept: str, kind: str, content_type: str) -> bool:
    """Whether `kind`, a range of the header, speaks for `content_type`.

    It does not where a range that is more specific ranks it lower or refuses it.
    """
    if not kind.endswith("*"):
        return True
    weights = _weights(accept)
    found = content_type.partition(";")[0]
    for each in (found, f"{found.partition('/')[0]}/*"):
        if each in weights:
            return weights[each] >= weights[kind]
    return True


@functools.lru_cache(maxsize=256)
def _weights(accept: str) -> Mapping[str, float]:
    weights: dict[str, float] = {}
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                weight = _weight(parameter[2:])
        if kind:
            # Java's own client says `*` for `*/*`.
            weights.setdefault("*/*" if kind == "*" else kind, weight)
    return weights


def _weight(text: str) -> float:
    """A weight; 1 for what is none."""
    try:
        weight = float(text)
    except ValueError:
        return 1.0
    return 1.0 if math.isnan(weight) else max(weight, 0.0)
