"""Encode the value that predict returned, by the Accept header."""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Mapping
from typing import Any

from ...problems import Problem
from .requests import JSON_LINES
from .tables import to_csv
from .values import AnswerError, module, tensor, to_json, to_json_lines

JSON = "application/json"
OCTETS = "application/octet-stream"
_RAW = ("image/", "audio/", "video/")
_NUMPY = ("application/x-npy", "application/x-npz")


class NotAnArray(AnswerError):
    """It is no array; another form may be accepted too."""


@functools.lru_cache(maxsize=256)
def choices(accept: str) -> tuple[str, ...]:
    """The media types of an Accept header, the most wanted first; refused ones are left out."""
    ranked = []
    for position, part in enumerate(accept.split(",")):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        if kind and weight > 0:
            ranked.append((-weight, position, kind))
    return tuple(kind for _, _, kind in sorted(ranked)) or ("*/*",)


def encode(value: Any, accept: str, nan: str) -> tuple[str, bytes]:
    """Content-Type and body for `value`.

    Args:
        value: What predict returned.
        accept: The Accept header.
        nan: `error` or `null`: what NaN and Infinity become in JSON.

    Raises AnswerError where the value has no such form, Problem (406) where the server cannot
    make anything that is accepted.
    """
    if accept == JSON or (accept == "*/*" and not isinstance(value, bytes | bytearray)):
        return JSON, to_json(value, nan)
    reason = ""
    for kind in choices(accept):
        try:
            found = _as(kind, value, nan)
        except NotAnArray as error:
            reason = f" ({error})"
            continue
        if found is not None:
            return found
    message = (
        f"Accept {accept} cannot be met for an answer of type {type(value).__name__}{reason}; "
        f"accept {JSON}, application/jsonlines, text/csv, application/x-npy, or */*"
    )
    raise Problem(406, "NotAcceptable", message)


def _as(kind: str, value: Any, nan: str) -> tuple[str, bytes] | None:
    if isinstance(value, bytes | bytearray | memoryview):
        if kind in ("*/*", "application/*"):
            return OCTETS, bytes(value)
        if kind == OCTETS or (kind.startswith((*_RAW, "text/")) and not kind.endswith("*")):
            return kind, bytes(value)
        if kind.startswith(_RAW) or (kind in _NUMPY):
            return (OCTETS if kind.endswith("*") else kind), bytes(value)
    if kind in (JSON, "*/*", "application/*") or kind.endswith("+json"):
        return (kind if kind.endswith("+json") else JSON), to_json(value, nan)
    if kind in JSON_LINES:
        return kind, to_json_lines(value, nan)
    if kind == "text/csv":
        return "text/csv", to_csv(value, nan)
    if kind.startswith("text/") and isinstance(value, str):
        concrete = "text/plain" if kind == "text/*" else kind
        return f"{concrete}; charset=utf-8", value.encode("utf-8", "replace")
    if kind == "text/*":
        return "text/csv", to_csv(value, nan)
    if kind in _NUMPY:
        return kind, to_numpy(value, kind)
    return None


def to_numpy(value: Any, kind: str) -> bytes:
    """An .npy file; an .npz file with one array for each key of a dict. Raises NotAnArray."""
    try:
        import numpy
    except ImportError:
        raise NotAnArray(f"{kind} needs numpy, which is not among the packages") from None
    named = value if isinstance(value, Mapping) else {"arr_0": value}
    arrays = {}
    for name, each in named.items():
        try:
            array = numpy.asarray(_to_array(each))
        except (TypeError, ValueError, OverflowError) as error:
            raise NotAnArray(f"its value at {name} is no array: {error}") from None
        if array.dtype.hasobject:
            raise NotAnArray(f"its value at {name} is no array of numbers or text")
        arrays[f"{name}.npy"] = array
    out = io.BytesIO()
    if kind == "application/x-npz":
        # numpy.savez takes names as keywords, among which are its own.
        with zipfile.ZipFile(out, "w") as archive:
            for name, array in arrays.items():
                with archive.open(name, "w", force_zip64=True) as member:
                    numpy.lib.format.write_array(member, array, allow_pickle=False)
    elif isinstance(value, Mapping):
        raise NotAnArray("application/x-npz has a place for each of a dict's values")
    else:
        numpy.save(out, arrays["arr_0.npy"], allow_pickle=False)
    return out.getvalue()


def _to_array(value: Any) -> Any:
    torch = module("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return tensor(torch, value).numpy()
    return value
