"""Find the first place where two responses differ; knows JSON values only."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from sageturner_magic.text import clip

RELATIVE, ABSOLUTE = 1e-4, 1e-6
"""How far apart two floats may be: other processors and thread counts round differently."""

GPU_RELATIVE, GPU_ABSOLUTE = 2e-2, 1e-3
"""The same where one of them comes from a GPU: TF32 and bfloat16 have 11 and 8 bits."""


def difference(here: Any, there: Any, *, gpu: bool = False, place: str = "") -> str:
    """The first place where two JSON values differ, in words; empty if they are alike.

    Args:
        here: The value of the notebook.
        there: The value of the deployed code.
        gpu: One of them was computed on a GPU and the other perhaps not.
    """
    if isinstance(here, Mapping) and isinstance(there, Mapping):
        if alone := sorted(here.keys() ^ there.keys()):
            side = "the notebook" if alone[0] in here else "the deployed code"
            return f"`{place}[{json.dumps(alone[0])}]` is in the response of {side} only"
        pairs = [(f"{place}[{json.dumps(key)}]", here[key], there[key]) for key in here]
    elif isinstance(here, list) and isinstance(there, list):
        if len(here) != len(there):
            lengths = f"{len(here)} and {len(there)}"
            return f"{_at(place)}lists of {lengths} items"
        pairs = [
            (f"{place}[{index}]", *both) for index, both in enumerate(zip(here, there, strict=True))
        ]
    else:
        return "" if _alike(here, there, gpu) else f"{_at(place)}{_shown(here)} and {_shown(there)}"
    found = (difference(one, other, gpu=gpu, place=at) for at, one, other in pairs)
    return next(filter(None, found), "")


def _at(place: str) -> str:
    return f"at `{place}`: " if place else ""


def _shown(value: Any) -> str:
    return clip(json.dumps(value, ensure_ascii=False), 60)


def _alike(here: Any, there: Any, gpu: bool) -> bool:
    if isinstance(here, bool) or isinstance(there, bool):
        return here is there
    if isinstance(here, float) or isinstance(there, float):
        relative, absolute = (GPU_RELATIVE, GPU_ABSOLUTE) if gpu else (RELATIVE, ABSOLUTE)
        numbers = isinstance(here, (int, float)) and isinstance(there, (int, float))
        return numbers and math.isclose(here, there, rel_tol=relative, abs_tol=absolute)
    return bool(here == there)
