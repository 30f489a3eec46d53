"""Write the functions that turn a request into what a model of tables takes.

Three forms: a DataFrame with the columns of the training data, an array of rows without names,
and a list of texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sageturner_magic.capture.generated.code import (
    Setting,
    example_code,
    filled,
    listed,
    literal,
    plain,
)
from sageturner_magic.capture.generated.known_values import known_values
from sageturner_magic.values import package_of


class Input(NamedTuple):
    """How a request is read.

    Attributes:
        imports: The modules that the code needs.
        code: Constants and the function that reads a request.
        call: The expression of what the model gets.
        example: The function example_request(), or nothing.
        sample: Where there is no example, the source of a request of the form that is read.
    """

    imports: tuple[str, ...]
    code: str
    call: str
    example: str
    sample: str = ""


BAD_REQUEST = '''
class $BadRequest(Exception):
    """Tells the caller what is wrong with the request."""

    status_code = 400
'''

_TABLE = '''
$COLUMNS = $columns
$types
$bad_request

def $table_of(request):
    """Make a DataFrame of a record, a list of records or rows, or a DataFrame's JSON."""
    try:
        if isinstance(request, dict) and {"columns", "data"} <= request.keys():
            table = pandas.DataFrame(request["data"], columns=request["columns"])
        elif isinstance(request, dict):
            is_table = all(isinstance(each, (dict, list)) for each in request.values())
            table = pandas.DataFrame(request if is_table else [request])
        elif isinstance(request[0], dict):
            table = pandas.DataFrame(request)
        else:
            is_row = isinstance(request[0], str) or not hasattr(request[0], "__len__")
            table = pandas.DataFrame([request] if is_row else request, columns=$COLUMNS)
        missing = [name for name in $COLUMNS if name not in table]
        if missing:
            raise $BadRequest(f"these columns are missing: {', '.join(missing)}")
        table = table[$COLUMNS]
        $typed
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise $BadRequest(f"the request is no table for the model: {error}") from error
'''

_UNTYPED = """# JSON says no more of a column without values: it is one of numbers.
        empty = [name for name in $COLUMNS if table[name].isna().all()]
        return table.astype(dict.fromkeys(empty, float))"""


def table_input(setting: Setting, columns: Sequence[str]) -> Input:
    """A DataFrame with `columns`, in their order; with an example frame also of its types."""
    names = setting.names("COLUMNS", "TYPES", "BadRequest", "table_of")
    given = _as_sent(setting.model.example)
    types = _types(given, columns)
    text = filled(
        _TABLE,
        names,
        columns=listed(columns),
        types=f"{names['TYPES']} = {types}\n" if types.startswith("{") else "",
        typed=_cast(types, names),
        bad_request=filled(BAD_REQUEST, names),
    )
    example = example_code(given, setting, lambda each: _records(each, columns))
    sample = "" if example else f"dict.fromkeys({names['COLUMNS']}, 0.0)"
    if sample and (known := known_values(setting.value, columns)):
        record = {name: known.get(name, 0.0) for name in columns}
        sample = literal(record) or f"{{**{sample}, **{known!r}}}"
    return Input(("pandas",), text, f"{names['table_of']}(request)", example, sample)


def _as_sent(example: Any) -> Any:
    """A frame with the names that its columns have in JSON, where they are text."""
    return example.rename(columns=str) if is_frame(example) else example


def _cast(types: str, names: Mapping[str, str]) -> str:
    if not types:
        return filled(_UNTYPED, names)
    return f"return table.astype({names['TYPES'] if types.startswith('{') else types})"


def _types(example: Any, columns: Sequence[str]) -> str:
    """Source of the columns' types, or of the one that all have; empty where JSON's will do."""
    if not is_frame(example):
        return ""
    parts = []
    kinds = {str(example[name].dtype) for name in columns}
    if len(kinds) == 1 and example[columns[0]].dtype.kind in "iuf":
        return repr(kinds.pop())
    for name in columns:
        dtype = example[name].dtype
        if dtype.name == "category":
            values = example[name].cat.categories.to_series()
            categories = listed(json.loads(values.to_json(orient="values", date_format="iso")))
            ordered = ", ordered=True" if dtype.ordered else ""
            parts.append(f"{name!r}: pandas.CategoricalDtype({categories}{ordered})")
        elif dtype.kind in "iufbM":
            parts.append(f"{name!r}: {str(dtype)!r}")
    return "{" + "".join(f"\n    {part}," for part in parts) + "\n}" if parts else ""


def _records(example: Any, columns: Sequence[str]) -> object:
    if is_frame(example):
        return plain(example[[*columns]])
    if hasattr(example, "to_json"):
        return json.loads(example.to_json(date_format="iso"))
    return plain(example)


def is_frame(value: Any) -> bool:
    """Whether `value` is a pandas DataFrame."""
    kind = type(value)
    return kind.__name__ == "DataFrame" and package_of(kind) == "pandas"


_ROWS = '''
$FEATURES = $count
$bad_request

def $rows_of(request):
    """Make an array of a row, a list of rows, {"data": rows}, or a record of one list."""
    if isinstance(request, dict):
        values = [request["data"]] if "data" in request else [*request.values()]
        if len(values) != 1:
            raise $BadRequest(f"the model takes {$FEATURES} values without names: send a list")
        request = values[0]
    try:
        rows = numpy.atleast_2d(numpy.asarray(request, dtype=$dtype))
    except (TypeError, ValueError) as error:
        raise $BadRequest(f"the model takes rows of {$FEATURES} values: {error}") from error
    if rows.ndim != 2 or rows.shape[1] != $FEATURES:
        raise $BadRequest(f"the model takes rows of {$FEATURES} values, not {rows.shape}")
    return rows
'''


def rows_input(setting: Setting, count: int, dtype: str = "float") -> Input:
    """An array of rows of `count` values."""
    names = setting.names("FEATURES", "BadRequest", "rows_of")
    bad = filled(BAD_REQUEST, names)
    text = filled(_ROWS, names, count=str(count), bad_request=bad, dtype=dtype)
    example = example_code(setting.model.example, setting, plain)
    sample = "" if example else f"[0.0] * {count}"
    places = [str(number) for number in range(count)] if dtype == "object" and sample else []
    if known := known_values(setting.value, places):
        sample = listed([known.get(place, 0.0) for place in places])
    return Input(("numpy",), text, f"{names['rows_of']}(request)", example, sample)


_TEXTS = '''
$bad_request

def $texts_of(request):
    """Make a list of a text, of texts, or of records and rows that hold one text each."""
    if isinstance(request, dict):
        request = [*request.values()][0] if len(request) == 1 else [request]
    if isinstance(request, dict):
        request = [*request.values()]
    texts = []
    for each in [request] if isinstance(request, str) else request:
        values = [*each.values()] if isinstance(each, dict) else each
        text = values[0] if isinstance(values, list) and len(values) == 1 else values
        if not isinstance(text, str):
            raise $BadRequest('the model takes texts: send "…", ["…", "…"] or {"text": "…"}')
        texts.append(text)
    return texts
'''


def texts_input(setting: Setting) -> Input:
    """A list of texts."""
    names = setting.names("BadRequest", "texts_of")
    text = filled(_TEXTS, names, bad_request=filled(BAD_REQUEST, names))
    example = example_code(setting.model.example, setting, _texts)
    sample = "" if example else '"a text"'
    return Input((), text, f"{names['texts_of']}(request)", example, sample)


def _texts(example: Any) -> object:
    return [*example] if hasattr(example, "to_json") and not is_frame(example) else plain(example)
