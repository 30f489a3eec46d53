"""Show responses of endpoints, and their values, as text."""

from __future__ import annotations

import json
from typing import Any

from sageturner_magic.endpoints import Prediction
from sageturner_magic.text import TEXT_LENGTH, clip, size, visible

OUTLINED = 8
"""Numbers that are shown of a long list where the whole does not fit."""


def as_json(value: object) -> str:
    """A decoded answer on one line."""
    return json.dumps(value, ensure_ascii=False, default=str)


def python_text(value: object) -> str:
    """A JSON value as Python, a list of equal numbers as `[0.0] * 64`."""
    if isinstance(value, dict):
        pairs = (f"{python_text(key)}: {python_text(item)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, str):
        return as_json(value)
    if not isinstance(value, list):
        return repr(value)
    if len(value) > OUTLINED and all(item == value[0] for item in value):
        return f"[{python_text(value[0])}] * {len(value)}"
    return f"[{', '.join(map(python_text, value))}]"


def value_text(value: object) -> str:
    """A decoded answer: text as it is, the rest as JSON or as it prints."""
    if isinstance(value, str):
        return value
    return str(value) if hasattr(value, "tolist") else as_json(value)


def piece_text(piece: object) -> str:
    """A piece of a streamed answer: text as it is, a value as a line of JSON."""
    if isinstance(piece, bytes):
        return f"[{size(len(piece))}]\n"
    return piece if isinstance(piece, str) else f"{as_json(piece)}\n"


def prediction_summary(prediction: Prediction) -> str:
    """How a request was answered, in a line."""
    return (
        f"{prediction.endpoint} · HTTP {prediction.status} · {prediction.latency_ms:.1f} ms"
        f" · {size(len(prediction.body))}"
    )


def prediction_text(prediction: Prediction) -> str:
    """The value, then how it was answered."""
    shown = answer_text(prediction.value, prediction.content_type)
    return f"{shown}\n{prediction_summary(prediction)}"


def prediction_data(prediction: Prediction) -> dict[str, Any]:
    """The same for programs."""
    return {
        "status": prediction.status,
        "latency_ms": prediction.latency_ms,
        "content_type": prediction.content_type,
        "value": prediction.value,
    }


def answer_text(value: object, content_type: str) -> str:
    """A decoded answer as far as a person reads it."""
    if isinstance(value, bytes):
        return f"{len(value):,} bytes of {visible(content_type)}"
    whole = value_text(value)
    if len(whole) > TEXT_LENGTH and isinstance(value, (dict, list)):
        whole = as_json(_outlined(value))
    return visible(clip(whole))


def _outlined(value: object) -> object:
    """A JSON value with the first of many numbers, so that what surrounds them is seen."""
    if isinstance(value, dict):
        return {key: _outlined(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) > OUTLINED and all(isinstance(item, (int, float)) for item in value):
        return [*value[:OUTLINED], f"… {len(value) - OUTLINED:,} more numbers"]
    return [_outlined(item) for item in value]
