"""Turn what predict returned into JSON text.

JSON is made by orjson where it can, and by `plain` and the standard library where it cannot or
where NaN or Infinity may be inside: `plain` is the one place that knows what becomes of each
type, and where in the answer a value stands that JSON has no form for.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import enum
import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from . import fastjson, moments


class AnswerError(Exception):
    """The value that predict returned has no form in what the client accepts."""


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
    numpy, orjson = module("numpy"), fastjson.module
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
    frame = None if _is_list(value) else frame_of(value)
    if frame is not None:
        rows = frame.to_dict(orient="records")
    else:
        rows = _foreign(value) if _is_foreign(value) else value
    items = rows if isinstance(rows, list | tuple) else [rows]
    return b"".join(to_json(item, nan) + b"\n" for item in items)


def module(name: str) -> Any:
    # A value of a package's type can only be there if somebody has imported the package.
    return sys.modules.get(name)


def _is_foreign(value: Any) -> bool:
    return str(type(value).__module__).partition(".")[0] in ("numpy", "pandas", "torch", "polars")


def tensor(torch: Any, value: Any) -> Any:
    tensor = value.detach().cpu()
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor


def frame_of(value: Any) -> Any:
    """A pandas table, or a Series with labels or a name as one; None for anything else.

    Labels of rows become columns: those with a name, and text, dates and the like. Whole numbers
    without a name number the rows, and are left out of a table. Raises AnswerError where two
    columns have one name.
    """
    pandas = module("pandas")
    if pandas is None or not isinstance(value, pandas.DataFrame | pandas.Series):
        return None
    frame, keep = value, _has_labels(pandas, value.index)
    if isinstance(value, pandas.Series):
        if not keep and value.name is None:
            return None
        frame = value.to_frame("value" if value.name is None else value.name)
    elif keep and value.index.nlevels == 1 and value.index.name is None:
        keep = not pandas.api.types.is_integer_dtype(value.index.dtype)
    if keep:
        try:
            frame = frame.reset_index()
        except ValueError as error:
            message = f"predict's answer has labels that cannot be a column: {error}; rename one"
            raise AnswerError(message) from None
    column_names(frame.columns)
    return _without_nan_text(frame, pandas)


def _is_list(value: Any) -> bool:
    """Whether it is a Series without labels."""
    pandas = module("pandas")
    series = pandas is not None and isinstance(value, pandas.Series)
    return series and not _has_labels(pandas, value.index)


def _has_labels(pandas: Any, index: Any) -> bool:
    """Whether `index` says more than 0, 1, 2, …"""
    return index.name is not None or not index.equals(pandas.RangeIndex(len(index)))


def _without_nan_text(frame: Any, pandas: Any) -> Any:
    # pandas 3 has NaN for missing text, which says nothing of a number.
    kinds = enumerate(frame.dtypes)
    text = [at for at, kind in kinds if _is_text(pandas, kind)]
    if not text:
        return frame
    frame = frame.copy()
    for at in text:
        column = frame.iloc[:, at].astype(object)
        frame.isetitem(at, column.where(column.notna(), None))
    return frame


def _is_text(pandas: Any, kind: Any) -> bool:
    if isinstance(kind, pandas.CategoricalDtype):
        kind = kind.categories.dtype
    return bool(pandas.api.types.is_string_dtype(kind))


def column_names(columns: Any) -> list[str]:
    """The names as text. Raises AnswerError where two are equal."""
    names = list(map(_key, columns))
    if (twice := _twice(names)) is not None:
        raise AnswerError(f"predict's answer has more than one column {twice!r}; rename one")
    return names


def _twice(names: list[str]) -> str | None:
    """A name that comes more than once."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


def _series(pandas: Any, series: Any) -> Any:
    """A list, or where the values have labels a dict."""
    values = _without_nan_text(series.to_frame("value"), pandas)["value"].tolist()
    if not _has_labels(pandas, series.index):
        return values
    labels = series.index
    if not labels.is_unique:
        twice = labels[labels.duplicated()][0]
        raise AnswerError(
            f"predict's answer has more than one value with the label {twice!r}; return "
            "series.tolist(), or series.reset_index() for a table"
        )
    return dict(zip(labels.tolist(), values, strict=True))


def _foreign(value: Any) -> Any:
    """A value of a kind that JSON does not know, one step nearer to JSON.

    Raises TypeError where there is no such step.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    decimal = module("decimal")
    if decimal is not None and isinstance(value, decimal.Decimal):
        if value.is_nan():
            return math.nan  # float() refuses a signaling one.
        if value.is_finite() and value.adjusted() > 5000:
            # Refused like any integer of so many digits; a million would take minutes.
            value = value.scaleb(5000 - value.adjusted())
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
        if module(name) is not None and isinstance(value, getattr(module(name), kind)):
            return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    numpy = module("numpy")
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
        if isinstance(value, numpy.complexfloating):
            raise TypeError("a complex number has no form in JSON")
        if isinstance(value, numpy.longdouble):
            return float(value)
        if isinstance(value, numpy.ndarray) and value.dtype == numpy.longdouble:
            return value.astype(float).tolist()
        if isinstance(value, numpy.ndarray | numpy.generic):
            return value.tolist() if value.dtype.kind != "V" else list(value.tolist())
    pandas = module("pandas")
    if pandas is not None:
        if isinstance(value, pandas.DataFrame):
            return frame_of(value).to_dict(orient="records")
        if isinstance(value, pandas.Series):
            return _series(pandas, value)
        if isinstance(value, pandas.Index):
            return value.tolist()
        if isinstance(value, pandas.api.extensions.ExtensionArray):
            return _series(pandas, pandas.Series(value))
        if value is pandas.NA:
            return None
        if isinstance(value, pandas.Interval | pandas.Period):
            return str(value)
    torch = module("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return tensor(torch, value).tolist()
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

    NaN and infinities are an error, or None if `nan` is `null`. With `missing`, only NaN is None.
    Raises AnswerError that names the place of what JSON has no form for.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value, nan, path)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        if value.bit_length() > _MOST_BITS:
            raise AnswerError(
                f"predict's answer{_at(path)} is an integer of more than 4,300 digits, which "
                "Python does not write as text; return it as hex(value)"
            )
        return int(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        if nan == "null" or (nan == "missing" and math.isnan(value)):
            return None
        form = "CSV" if nan == "missing" else "JSON"
        raise AnswerError(
            f"predict's answer{_at(path)} is {value!r}, which {form} has no form for; "
            'replace it, or set `serving: {nan: "null"}`'
        )
    try:
        if isinstance(value, dict):
            named = {_key(key): plain(item, nan, _child(path, key)) for key, item in value.items()}
            if len(named) < len(value):
                twice = _twice(list(map(_key, value)))
                raise AnswerError(
                    f"predict's answer{_at(path)} has keys that are equal as text: {twice!r}"
                )
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


_MOST_BITS = 14_280
"""Of 4,300 digits, at which Python refuses (sys.set_int_max_str_digits)."""


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
