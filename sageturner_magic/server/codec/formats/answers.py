"""Encode the value that predict returned, by the Accept header."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from ...problems import Problem
from .accept import choices, lets
from .requests import JSON_LINES
from .tables import to_csv
from .values import AnswerError, module, tensor, to_json, to_json_lines

JSON = "application/json"
OCTETS = "application/octet-stream"
CSV = "text/csv"
_RAW = ("image/", "audio/", "video/")
_NUMPY = ("application/x-npy", "application/x-npz")
_FORMS = (OCTETS, JSON, "text/plain", *JSON_LINES, CSV, *_NUMPY)
"""What stands for a range such as `*/*`, in this order."""


class NotAnArray(AnswerError):
    """It is no array; another form may be accepted too."""


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
        # Another form than the usual one, where that is refused by name.
        for form in (kind, *_FORMS) if kind.endswith("*") else (kind,):
            if form != kind and not fnmatchcase(form, kind):
                continue
            try:
                found = _as(form, value, nan)
            except NotAnArray as error:
                reason = f" ({error})"
                continue
            if found is not None and lets(accept, kind, found[0]):
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
    if kind == CSV:
        return CSV, to_csv(value, nan)
    if kind.startswith("text/") and isinstance(value, str):
        concrete = "text/plain" if kind == "text/*" else kind
        return f"{concrete}; charset=utf-8", value.encode("utf-8", "replace")
    if kind == "text/*":
        return CSV, to_csv(value, nan)
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
