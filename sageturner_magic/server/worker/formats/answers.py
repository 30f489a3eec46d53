"""Encode the value that predict returned, by the Accept header.

JSON is made by orjson where it can, and by `plain` and the standard library where it cannot or
where NaN or Infinity may be inside: `plain` is the one place that knows what becomes of each
type, and where in the answer a value stands that JSON has no form for.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import enum
import functools
import io
import json
import math
import sys
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

from ...problems import Problem
from . import fastjson, moments
from .requests import JSON_LINES

JSON = "application/json"
OCTETS = "application/octet-stream"
_RAW = ("image/", "audio/", "video/")
_NUMPY = ("application/x-npy", "application/x-npz")


class AnswerError(Exception):
    """The value that predict returned has no form in what the client accepts."""


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
    if kind in _NUMPY:
        return kind, to_numpy(value, kind)
    return None


def to_json(value: Any, nan: str) -> bytes:
    """`value` as JSON text. Raises AnswerError that names the place in the answer."""
    orjson = fastjson.module
    if orjson is not None:
        try:
            text: bytes = orjson.dumps(value, default=_for_orjson)
        except (TypeError, ValueError):
            pass
        else:
            # orjson writes null for NaN: whether one is inside only the values can tell.
            if nan == "null" or b"null" not in text:
                return text
    return json.dumps(plain(value, nan), separators=(",", ":"), allow_nan=False).encode()


def _for_orjson(value: Any) -> Any:
    """As `_foreign`; arrays of numbers are written by orjson itself.

    It is told of each array, and not left to write all, because it writes another instant for NaT
    and the bytes of a big-endian array in the wrong order.
    """
    numpy, orjson = _module("numpy"), fastjson.module
    if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
        kind = value.dtype
        if kind.kind in "biuf" and kind.isnative and kind.itemsize <= 8 and value.ndim != 0:
            if value.flags.c_contiguous:
                return orjson.Fragment(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))
        elif isinstance(value, numpy.generic) and kind.kind in "biuf" and kind.itemsize <= 8:
            return orjson.Fragment(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))
    return _foreign(value)


def to_json_lines(value: Any, nan: str) -> bytes:
    """One line of JSON for each item of a list, an array or a table; otherwise one line."""
    rows = _foreign(value) if _is_foreign(value) else value
    items = rows if isinstance(rows, list | tuple) else [rows]
    return b"".join(to_json(item, nan) + b"\n" for item in items)


def to_csv(value: Any, nan: str) -> bytes:
    """Rows of a table: a list of lists, of dicts (with a header), of values, or one value."""
    if _module("pandas") is not None and isinstance(value, _module("pandas").DataFrame):
        text: str = _table(_module("pandas"), value).to_csv(index=False)
        return text.encode("utf-8", "replace")
    import csv

    data = plain(value, "null")
    if isinstance(data, dict):
        columns = list(data.values())
        table = bool(columns) and all(isinstance(column, list) for column in columns)
        if table and len({len(column) for column in columns}) == 1:
            data = [dict(zip(data, row, strict=True)) for row in zip(*columns, strict=True)]
        else:
            data = [data]
    rows = data if isinstance(data, list) else [data]
    out = io.StringIO()
    if rows and all(isinstance(row, dict) for row in rows):
        names = list(dict.fromkeys(name for row in rows for name in row))
        table_writer = csv.DictWriter(out, names, lineterminator="\n")
        table_writer.writeheader()
        table_writer.writerows(rows)
    else:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows(row if isinstance(row, list) else [row] for row in rows)
    return out.getvalue().encode("utf-8", "replace")


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
    torch = _module("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _foreign_tensor(torch, value).numpy()
    return value


def _module(name: str) -> Any:
    # A value of a package's type can only be there if somebody has imported the package.
    return sys.modules.get(name)


def _is_foreign(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] in ("numpy", "pandas", "torch", "polars")


def _foreign_tensor(torch: Any, value: Any) -> Any:
    tensor = value.detach().cpu()
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor


def _table(pandas: Any, frame: Any) -> Any:
    """`frame` with None for what is missing among text. Raises AnswerError for equal columns."""
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise AnswerError(f"predict's answer has more than one column {twice!r}; rename one")
    # pandas 3 has NaN for missing text, which says nothing of a number.
    text = [name for name in frame.columns if pandas.api.types.is_string_dtype(frame[name])]
    objects = frame.astype(dict.fromkeys(text, object))
    return objects.mask(frame.isna() & frame.columns.isin(text), None) if text else frame


def _foreign(value: Any) -> Any:
    """A value of a kind that JSON does not know, one step nearer to JSON.

    Raises TypeError where there is no such step.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    decimal = _module("decimal")
    if decimal is not None and isinstance(value, decimal.Decimal):
        whole = value.is_finite() and value == value.to_integral_value()
        return int(value) if whole else float(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        # pandas' NaT is a datetime and equals nothing, itself included.
        return None if value != value else value.isoformat()
    for name, kind in (("uuid", "UUID"), ("pathlib", "PurePath")):
        if _module(name) is not None and isinstance(value, getattr(_module(name), kind)):
            return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    numpy = _module("numpy")
    if numpy is not None:
        if isinstance(value, numpy.datetime64 | numpy.timedelta64) and numpy.isnat(value):
            return None
        if isinstance(value, numpy.timedelta64):
            return moments.seconds(numpy, value)
        if isinstance(value, numpy.datetime64):
            found = moments.iso(numpy, value)
            if not found:
                raise AnswerError(f"{value} is outside the years 1 to 9999; return it as text")
            return found
        if isinstance(value, numpy.ndarray) and value.dtype.kind in "Mm":
            return [_foreign(item) for item in value] if value.ndim else _foreign(value[()])
        if isinstance(value, numpy.longdouble):
            return float(value)
        if isinstance(value, numpy.ndarray) and value.dtype == numpy.longdouble:
            return value.astype(float).tolist()
        if isinstance(value, numpy.ndarray | numpy.generic):
            return value.tolist() if value.dtype.kind != "V" else list(value.tolist())
    pandas = _module("pandas")
    if pandas is not None:
        if isinstance(value, pandas.DataFrame):
            return _table(pandas, value).to_dict(orient="records")
        if isinstance(value, pandas.Series | pandas.Index):
            return value.tolist()
        if isinstance(value, pandas.api.extensions.ExtensionArray):
            return value.tolist()
        if value is pandas.NA:
            return None
        if isinstance(value, pandas.Interval | pandas.Period):
            return str(value)
    torch = _module("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _foreign_tensor(torch, value).tolist()
    for method in (
        "toarray",
        "model_dump",
        "to_dicts",
        "to_dict",
        "dict",
        "_asdict",
        "tolist",
        "numpy",
    ):
        # SciPy's sparse matrices, pydantic 2, polars, many, pydantic 1, rows of databases, JAX,
        # TensorFlow.
        convert = getattr(value, method, None)
        if callable(convert) and not isinstance(value, type):
            return convert()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def plain(value: Any, nan: str = "error", path: str = "") -> Any:
    """`value` as dicts with text keys, lists, text, numbers, booleans and None.

    Raises AnswerError that names the place of what JSON has no form for.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value, nan, path)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        if nan == "null":
            return None
        raise AnswerError(
            f"predict's answer{_at(path)} is {value!r}, which JSON has no form for; "
            'replace it, or set `serving: {nan: "null"}`'
        )
    try:
        if isinstance(value, dict):
            named = {_key(key): plain(item, nan, _child(path, key)) for key, item in value.items()}
            if len(named) < len(value):
                raise AnswerError(f"predict's answer{_at(path)} has keys that are equal as text")
            return named
        if isinstance(value, list | tuple):
            return [plain(item, nan, f"{path}[{at}]") for at, item in enumerate(value)]
        return plain(_foreign(value), nan, path)
    except RecursionError:
        raise AnswerError("predict's answer is nested too deeply, or contains itself") from None
    except AnswerError:
        raise
    except TypeError:
        raise AnswerError(
            f"predict's answer{_at(path)} is of type {type(value).__name__}, which has no form "
            "in JSON; return dicts, lists, numbers, text, arrays or tables"
        ) from None


def _at(path: str) -> str:
    return f" at {path}" if path else ""


def _child(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str(key)
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    if isinstance(key, int | float):
        return str(key)
    if isinstance(key, tuple | list):
        return ",".join(map(_key, key))
    found = _foreign(key)
    return found if isinstance(found, str) else _key(found)
