"""Decode a request's body, by its Content-Type, to the value that predict gets."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import math
import re
from typing import Any, NamedTuple, NoReturn

from ...problems import Problem
from ...settings import Serving
from . import fastjson
from .tables import Table, read_csv

JSON_LINES = (
    "application/jsonlines",
    "application/x-jsonlines",
    "application/json-lines",
    "application/x-ndjson",
    "application/ndjson",
)


class Decoded(NamedTuple):
    """The value that predict gets, and for CSV how its cells were read."""

    value: Any
    table: Table | None = None


def decode(body: bytes, content_type: str, serving: Serving = Serving()) -> Decoded:  # noqa: B008
    """The value that `body` holds. Raises Problem with status 400, 413 or 415.

    JSON and anything that ends in `+json`: the value. JSON lines: a list. text/csv: a list of
    rows; with a header a list of dicts. application/x-npy: an array; application/x-npz: a dict
    of arrays (pickled objects are refused). Other text: str. Images, audio, video and binary
    application types: bytes.
    """
    kind, _, parameters = content_type.partition(";")
    if kind.strip().lower() == "text/csv":
        header = _parameter(parameters, "header") or serving.csv.header
        text = _text(body, parameters)
        table = read_csv(text, header == "present", serving.csv.types, serving.nan)
        return Decoded(table.value, table)
    return Decoded(_value(body, content_type))


def _value(body: bytes, content_type: str) -> Any:
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    if kind in ("", "application/json") or kind.endswith("+json"):
        return decode_json(body)
    if kind in JSON_LINES:
        return _lines(body)
    if kind in ("application/x-npy", "application/x-npz"):
        return _numpy(body, kind)
    if kind.startswith("text/"):
        return _text(body, parameters)
    if kind.startswith(("image/", "audio/", "video/")) or kind in _BINARY:
        return body
    raise Problem(415, "UnsupportedContentType", _unsupported(kind))


_BINARY = {
    "application/octet-stream",
    "file-path/raw-bytes",  # The SageMaker SDK's DataSerializer.
    "application/pdf",
    "application/x-image",
    "application/x-parquet",
    "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.arrow.file",
    "application/x-recordio-protobuf",
    "application/x-protobuf",
    "application/zip",
}


def _unsupported(kind: str) -> str:
    hint = ""
    if kind == "application/x-www-form-urlencoded":
        hint = " (curl sends this by itself: add -H 'Content-Type: application/json')"
    return (
        f"Content-Type {kind} is not supported{hint}; send application/json, "
        "application/jsonlines, text/csv, text/plain, application/x-npy, application/x-npz, "
        "image/*, audio/*, video/* or application/octet-stream"
    )


def _parameter(parameters: str, name: str) -> str:
    for part in parameters.split(";"):
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"').lower()
    return ""


_NO_CHARSETS = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
"""Codecs of Python's own that decode bytes to text and are the charset of no media type; punycode
takes time that grows with the square of the text."""


def _text(body: bytes, parameters: str = "") -> str:
    charset = _parameter(parameters, "charset") or "utf-8"
    try:
        codec = codecs.lookup(charset).name
        if codec in _NO_CHARSETS:
            raise LookupError
        return body.decode("utf-8-sig" if codec == "utf-8" else codec)
    except LookupError:
        raise Problem(415, "UnsupportedContentType", f"charset {charset} is not known") from None
    except UnicodeDecodeError as error:
        message = f"the body is not {charset} text: {error.reason} at byte {error.start}"
        raise Problem(400, "InvalidText", message) from None


_LONG_NUMBER = re.compile(rb"[0-9]{19}")
"""What may be an integer beyond 64 bits, of which orjson makes a float."""


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON; send null, or leave the value out")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text} is too large")
    return value


def _standard_json(text: str) -> Any:
    return json.loads(text, parse_constant=_not_json, parse_float=_finite)


def decode_json(body: bytes) -> Any:
    """The value of a JSON text. Raises Problem (400) that says where it is wrong."""
    if not body.strip():
        raise Problem(400, "EmptyBody", "the body is empty; send a JSON value")
    if fastjson.module is not None and not _LONG_NUMBER.search(body):
        # What it refuses the standard library may accept, or says better what is wrong.
        with contextlib.suppress(ValueError):
            return fastjson.module.loads(body)
    text = _text(body)
    try:
        return _standard_json(text)
    except RecursionError:
        raise Problem(400, "InvalidJSON", "the JSON is nested too deeply") from None
    except ValueError as error:
        raise Problem(400, "InvalidJSON", f"the body is not JSON: {error}") from None


def _lines(body: bytes) -> list[Any]:
    if not body.strip():
        raise Problem(400, "EmptyBody", "the body is empty; send a JSON value on each line")
    values = []
    # LF alone ends a line (jsonlines.org); the CR before it is white space to JSON.
    for number, line in enumerate(_text(body).encode().split(b"\n"), 1):
        if line.strip():
            try:
                values.append(decode_json(line))
            except Problem as problem:
                message = f"line {number} of the JSON lines: {problem.message}"
                raise Problem(400, "InvalidJSON", message) from None
    return values


_UNPACKED_BYTES = 64 << 20
_UNPACKED_RATIO = 20
"""An archive may unpack to the first, or to so many times its own size; deflate reaches 1,030."""


_MEMBERS = 1000
"""Arrays of an archive: each takes 0.1 ms or so to open, however short it is."""


def _numpy(body: bytes, kind: str) -> Any:
    try:
        import numpy
    except ImportError:
        message = f"{kind} needs numpy, which is not among the model's packages"
        raise Problem(415, "UnsupportedContentType", message) from None
    try:
        value = numpy.load(io.BytesIO(body), allow_pickle=False)
        if isinstance(value, numpy.ndarray):
            return value
        if len(value.files) > _MEMBERS:
            message = f"the archive has {len(value.files):,} arrays; send at most {_MEMBERS:,}"
            raise Problem(413, "PayloadTooLarge", message)
        unpacked = sum(member.file_size for member in value.zip.infolist())
        if unpacked > max(_UNPACKED_BYTES, _UNPACKED_RATIO * len(body)):
            message = (
                f"the arrays would take {unpacked / 1e6:,.0f} MB, {unpacked / len(body):,.0f} "
                "times what was sent; send them with numpy.savez, which does not compress"
            )
            raise Problem(413, "PayloadTooLarge", message)
        return {name: value[name] for name in value.files}
    except Problem:
        raise
    except Exception as error:  # numpy raises many kinds: ValueError, OSError, zipfile's, ...
        raise Problem(400, "InvalidNumpy", f"the body is not {kind}: {error}") from None
