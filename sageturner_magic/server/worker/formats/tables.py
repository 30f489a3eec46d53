"""Read and write CSV (RFC 4180) so that what was written is kept.

`csv` of the standard library reads no difference between 12 and "12", which decides here what is
a number; so cells are read by two patterns of this module.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ...problems import Problem
from .values import column_names, frame_of, plain

NUMBER, TEXT, EMPTY = "number", "text", "empty"


@dataclasses.dataclass(frozen=True)
class Table:
    """A CSV body, read.

    Attributes:
        value: What predict gets: a list of rows, or of dicts where there is a header.
        types: `number`, `text` or `empty` for each column, by its name, or by its position where
            there is no header. Empty where each cell has a type of its own (`types: cell`).
        cells: The cells of each row as text, as they were written.
    """

    value: list[Any]
    types: dict[Any, str]
    cells: list[list[str]]


class _Quoted(str):
    """A cell that was written in quotes."""

    __slots__ = ()


_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""What JSON calls a number (RFC 8259)."""

_NO_NUMBER = re.compile(r"[+-]?(?:nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_LINE_END = re.compile(r"\r\n|\r|\n")
_UNQUOTED = re.compile(r"[^,\r\n]*")


def read_csv(text: str, header: bool, types: str, nan: str) -> Table:
    """The table that `text` holds.

    Args:
        text: The body.
        header: Whether its first row has the columns' names.
        types: `serving.csv.types`: `infer`, `text` or `cell`.
        nan: `serving.nan`: with `null`, nan and inf are missing values among numbers.

    Raises Problem (400) with the line.
    """
    rows = list(_rows(text))
    if not rows:
        raise Problem(400, "EmptyBody", "the body is empty; send a line for each record")
    names: list[Any] = []
    if header:
        names, *rows = rows
        _check_header(names, rows)
    if types == "infer":
        values, kinds = _inferred(rows, nan)
    else:
        each = _number_or_text if types == "cell" else str
        values = [[each(cell) for cell in row] for row in rows]
        width = max(map(len, rows), default=0) if types == "text" else 0
        kinds = [TEXT] * width
    if not header:
        return Table(values, dict(enumerate(kinds)), rows)
    named = [dict(zip(names, row, strict=True)) for row in values]
    kinds = kinds or ([] if types == "cell" else [EMPTY] * len(names))
    return Table(named, dict(zip(names, kinds, strict=False)), rows)


def _check_header(names: list[str], rows: list[list[str]]) -> None:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        message = f"the header has the column {twice!r} more than once; rename one"
        raise Problem(400, "InvalidCSV", message)
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            message = f"row {number} has {len(row)} cells and the header has {len(names)}"
            raise Problem(400, "InvalidCSV", message)


def _rows(text: str) -> Iterator[list[str]]:
    if '"' not in text:
        yield from (line.split(",") for line in _LINE_END.split(text) if line)
        return
    at, row = 0, list[str]()
    cell: str
    while at < len(text) or row:
        if text.startswith('"', at):
            cell, at = _quoted(text, at)
        else:
            found = _UNQUOTED.match(text, at)
            cell, at = (found[0], found.end()) if found else ("", at)
        row.append(cell)
        if text.startswith(",", at):
            at += 1
            continue
        end = _LINE_END.match(text, at)
        if end is None and at < len(text):
            raise _invalid(text, at, "behind a closing quote comes neither a comma nor a new line")
        at = end.end() if end else at
        if row != [""] or isinstance(row[0], _Quoted):
            yield row
        row = []


def _quoted(text: str, start: int) -> tuple[_Quoted, int]:
    """The cell whose opening quote is at `start`, and where it ends."""
    parts, at = [], start + 1
    while (close := text.find('"', at)) >= 0:
        parts.append(text[at:close])
        if not text.startswith('"', close + 1):
            return _Quoted('"'.join(parts)), close + 1
        at = close + 2
    raise _invalid(text, start, "a quote is opened and never closed")


def _invalid(text: str, at: int, why: str) -> Problem:
    line = len(_LINE_END.findall(text, 0, at)) + 1
    return Problem(400, "InvalidCSV", f"the body is not CSV: line {line}: {why}")


def _inferred(rows: list[list[str]], nan: str) -> tuple[list[list[Any]], list[str]]:
    """The rows with numbers in the columns that hold nothing else, and each column's type."""
    types: list[str] = []
    numbers: list[list[Any]] = []
    for row in rows:
        types.extend([EMPTY] * (len(row) - len(types)))
        read: list[Any] = []
        for at, cell in enumerate(row):
            value = None
            if types[at] != TEXT and (cell or isinstance(cell, _Quoted)):
                types[at] = NUMBER
                try:
                    value = _number(cell, nan)
                except ValueError:
                    types[at] = TEXT
            read.append(value)
        numbers.append(read)
    texts = [at for at, kind in enumerate(types) if kind == TEXT]
    for row, read in zip(rows, numbers, strict=True):
        for at in texts:
            if at < len(row):
                cell = row[at]
                read[at] = str(cell) if cell or isinstance(cell, _Quoted) else None
    return numbers, types


def _number(cell: str, nan: str = "error") -> int | float | None:
    """The number that `cell` is. Raises ValueError where it is none."""
    found = None if isinstance(cell, _Quoted) else _NUMBER.fullmatch(cell)
    if found is None:
        if nan == "null" and not isinstance(cell, _Quoted) and _NO_NUMBER.fullmatch(cell):
            return None
        raise ValueError(cell)
    if found[1] is None and found[2] is None:
        return int(cell)
    value = float(cell)
    if math.isinf(value):
        raise ValueError(cell)
    return value


def _number_or_text(cell: str) -> int | float | str:
    """The rule up to 0.1.0: whatever Python reads as a number is one, quoted or not."""
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            pass
    return str(cell)


def to_csv(value: Any) -> bytes:
    """Rows of a table, list, array, dict or Series; missing values are empty cells.

    Raises AnswerError.
    """
    names, rows = _grid(value)
    lines = [_line(names)] if names is not None else []
    lines += map(_line, rows)
    return "".join(lines).encode("utf-8", "replace")


def _grid(value: Any) -> tuple[list[str] | None, Iterable[list[Any]]]:
    """The header, where there is one, and the rows."""
    frame = frame_of(value)
    if frame is not None:
        rows = frame.to_dict(orient="split")["data"]
        return column_names(frame.columns), plain(rows, "null")
    data = plain(value, "null")
    if isinstance(data, dict):
        columns = list(data.values())
        table = bool(columns) and all(isinstance(column, list) for column in columns)
        if not table or len({len(column) for column in columns}) > 1:
            return list(data), [columns]
        return list(data), map(list, zip(*columns, strict=True))
    rows = data if isinstance(data, list) else [data]
    if rows and all(isinstance(row, dict) for row in rows):
        names = list(dict.fromkeys(name for row in rows for name in row))
        return names, ([row.get(name) for name in names] for row in rows)
    return None, (row if isinstance(row, list) else [row] for row in rows)


def _line(row: list[Any]) -> str:
    # A row of one empty cell would be an empty line, which readers leave out.
    return (",".join(map(_cell, row)) or '""') + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict | list):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    elif isinstance(value, str):
        text = value
    else:
        return str(value)
    # Text that would be read as something else is quoted too.
    if text and not _NEEDS_QUOTES.search(text) and not _NUMBER.fullmatch(text):
        return text
    return '"' + text.replace('"', '""') + '"'


_NEEDS_QUOTES = re.compile(r'[",\r\n]')
