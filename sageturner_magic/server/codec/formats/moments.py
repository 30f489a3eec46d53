"""Turn NumPy's dates and durations into what JSON can hold, exactly for every unit."""

from __future__ import annotations

import datetime
from typing import Any

_UNITS = {"W": 604_800, "D": 86_400, "h": 3_600, "m": 60, "s": 1}
_PARTS = ("s", "ms", "us", "ns", "ps", "fs", "as")
"""Seconds of NumPy's units of time, and the units of which a thousand make the one before."""

_YEAR = 31_556_952
"""Seconds of the calendar's mean year."""


def seconds(numpy: Any, value: Any) -> float:
    """A duration, or a moment since 1970, in seconds. Raises TypeError for years and months.

    NumPy's own conversion wraps around or overflows, by version.
    """
    unit, count = numpy.datetime_data(value.dtype)
    number = int(value.astype("int64")) * count
    if unit in _UNITS:
        return float(number * _UNITS[unit])
    if unit in _PARTS:
        return float(number / 1_000 ** _PARTS.index(unit))
    raise TypeError(f"a duration in {unit} is no number of seconds")


def iso(numpy: Any, value: Any) -> str:
    """A moment in ISO 8601; empty outside the years 1 to 9999."""
    unit, count = numpy.datetime_data(value.dtype)
    if unit in ("Y", "M"):
        years = int(value.astype("int64")) * count // (12 if unit == "M" else 1)
    else:
        years = int(seconds(numpy, value) // _YEAR)
    moment = value.astype("datetime64[us]").item() if abs(years) < 10_000 else None
    return moment.isoformat() if isinstance(moment, datetime.datetime) else ""
