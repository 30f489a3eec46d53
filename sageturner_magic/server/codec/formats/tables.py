"""Read and write CSV (RFC 4180) so that what was written is kept.

`csv` of the standard library reads no difference between 12 and "12", which decides here what is
a number; so cells are read by two patterns of this module.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ...problems import Problem
from .values import AnswerError, column_names, frame_of, plain

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


_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
"""What JSON calls a number (RFC 8259)."""

_NUMERIC = re.compile(r"[-+.0-9eE]*")
"""The characters of JSON's numbers, and of no other value of JSON."""

_NO_NUMBER = re.compile(r"[+-]?(?:nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_LINE_END = re.compile(r"\r\n|\r|\n")
_CELL_END = re.compile(r",|\r\n|\r|\n|\Z")
_SIMPLE_CELL = re.compile(rf'(?:"([^"]*)"|([^",\r\n][^,\r\n]*|))({_CELL_END.pattern})')
"""A cell without a doubled quote, and what ends it."""


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
    names: list[str] = []
    if header:
        first, *rows = rows
        names = list(map(str, first))
        _check_header(names, rows)
    if types == "infer":
        values, kinds = _inferred(rows, nan)
    else:
        each = _number_or_text if types == "cell" else str
        values = [[each(cell) for cell in row] for row in rows]
        width = max(map(len, rows), default=0) if types == "text" else 0
        kinds = [TEXT] * width
    cells = [list(map(str, row)) if _Quoted in map(type, row) else row for row in rows]
    if not header:
        return Table(values, dict(enumerate(kinds)), cells)
    named = [dict(zip(names, row, strict=True)) for row in values]
    kinds = kinds or ([] if types == "cell" else [EMPTY] * len(names))
    return Table(named, dict(zip(names, kinds, strict=False)), cells)


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
    at = 0
    while at < len(text):
        end = _LINE_END.search(text, at)
        line = text[at : end.start() if end else len(text)]
        if '"' in line:
            row, at = _row_with_quotes(text, at)
            yield row
            continue
        if line:
            yield line.split(",")
        at = end.end() if end else len(text)


def _row_with_quotes(text: str, at: int) -> tuple[list[str], int]:
    """The row that begins at `at`, and where the next one does."""
    row: list[str] = []
    while True:
        if found := _SIMPLE_CELL.match(text, at):
            row.append(_Quoted(found[1]) if found[2] is None else found[2])
            end, at = found[3], found.end()
        else:
            cell, at = _quoted(text, at)
            row.append(cell)
            after = _CELL_END.match(text, at)
            if after is None:
                raise _invalid(text, at, "behind a closing quote comes no comma and no new line")
            end, at = after[0], after.end()
        if end != ",":
            return row, at


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
    columns: list[list[str]] = [[] for _ in range(max(map(len, rows), default=0))]
    for row in rows:
        for column, cell in zip(columns, row, strict=False):
            column.append(cell)
    read = [_column(column, nan) for column in columns]
    values = [iter(each) for each, _ in read]
    return [list(map(next, values[: len(row)])) for row in rows], [kind for _, kind in read]


def _column(cells: list[str], nan: str) -> tuple[list[Any], str]:
    if not any(type(cell) is _Quoted for cell in cells):
        if not any(cells):
            return [None] * len(cells), EMPTY
        with contextlib.suppress(ValueError):
            return _numbers(cells, nan), NUMBER
    kept = (cell or type(cell) is _Quoted for cell in cells)
    return [str(cell) if keep else None for cell, keep in zip(cells, kept, strict=True)], TEXT


def _numbers(cells: list[str], nan: str) -> list[int | float | None]:
    """The cells as numbers, None where one is empty. Raises ValueError where one is no number."""
    if nan == "null":
        cells = ["" if _NO_NUMBER.fullmatch(cell) else cell for cell in cells]
    if not _NUMERIC.fullmatch("".join(cells)):
        raise ValueError
    numbers: list[int | float | None] = json.loads(f"[{','.join(c or 'null' for c in cells)}]")
    if math.inf in numbers or -math.inf in numbers:
        raise ValueError
    return numbers


def _number_or_text(cell: str) -> int | float | str:
    """The rule up to 0.1.0: whatever Python reads as a number is one, quoted or not."""
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            pass
    return str(cell)


def to_csv(value: Any, nan: str) -> bytes:
    """Rows of a table, list, array, dict or Series; missing values, NaN too, are empty cells.

    So are infinities where `nan` is `null`. Otherwise they raise AnswerError, as does what has no
    form at all.
    """
    names, rows = _grid(value, "null" if nan == "null" else "missing")
    lines = [_line(names)] if names is not None else []
    lines += map(_line, rows)
    return "".join(lines).encode("utf-8", "replace")


class CsvRows:
    """The CSV of a stream: each chunk is a row or a table, and the first settles the columns.

    Args:
        nan: See `to_csv`.
    """

    def __init__(self, nan: str) -> None:
        self._nan = "null" if nan == "null" else "missing"
        self._names: list[str] | None = None
        self._begun = False

    def encode(self, chunk: Any) -> bytes:
        """The lines of one chunk. Raises AnswerError where it does not fit what went before."""
        names, rows = self._grid(chunk)
        lines = []
        if not self._begun:
            self._names = names
            lines = [_line(names)] if names is not None else []
        elif names is not None and names != self._names:
            rows = self._arranged(names, rows)
        lines += map(_line, rows)
        self._begun = self._begun or bool(lines)
        return "".join(lines).encode("utf-8", "replace")

    def _grid(self, chunk: Any) -> tuple[list[str] | None, Iterable[list[Any]]]:
        if frame_of(chunk) is not None:
            return _grid(chunk, self._nan)
        data = plain(chunk, self._nan)
        rows = isinstance(data, list) and (_all(list, data) or _all(dict, data))
        return _grid(data if rows or not isinstance(data, list) else [data], self._nan)

    def _arranged(self, names: list[str], rows: Iterable[list[Any]]) -> Iterator[list[Any]]:
        if self._names is None:
            raise AnswerError("predict yielded a row with names after rows without")
        if new := [name for name in names if name not in self._names]:
            columns = ", ".join(map(repr, new))
            raise AnswerError(
                f"predict yielded a row with the new column {columns}; CSV names all columns "
                "in its first line, which has been sent"
            )
        for row in rows:
            named = dict(zip(names, row, strict=True))
            yield [named.get(name) for name in self._names]


def _all(kind: type, items: list[Any]) -> bool:
    return all(isinstance(item, kind) for item in items)


def _grid(value: Any, nan: str) -> tuple[list[str] | None, Iterable[list[Any]]]:
    """The header, where there is one, and the rows."""
    frame = frame_of(value)
    if frame is not None:
        rows = frame.to_dict(orient="split")["data"]
        return column_names(frame.columns), plain(rows, nan)
    data = plain(value, nan)
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
