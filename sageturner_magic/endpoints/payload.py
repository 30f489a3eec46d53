"""Encode Python values as requests, and decode responses."""

from __future__ import annotations

import codecs
import dataclasses
import io
import json
import math
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import astuple
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from sageturner_magic.constants import REQUEST_SECONDS
from sageturner_magic.errors import InvocationError, UsageError
from sageturner_magic.values import NO_OPTIONS, InvokeOptions, Request, package_of

JSON = "application/json"
JSON_LINES = "application/jsonlines"
NPY = "application/x-npy"
OCTETS = "application/octet-stream"

IMAGE_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
}


def guess_content_type(data: bytes) -> str:
    """The media type of raw bytes, from the signatures of pictures and NumPy files."""
    for signature, content_type in IMAGE_SIGNATURES.items():
        if data.startswith(signature):
            return content_type
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    if data.startswith(b"\x93NUMPY"):
        return NPY
    return OCTETS


EXAMPLE_PATH = "/docs"
"""The page of a model server that has the code's example request."""

_FACTS = re.compile(rb'<script type="application/json" id="facts">(.*?)</script>', re.DOTALL)
"""What that page is made of (see `server/front/docs.py`)."""


def encode(
    payload: object,
    content_type: str | None = None,
    accept: str | None = None,
    timeout_s: float = REQUEST_SECONDS,
    options: InvokeOptions = NO_OPTIONS,
) -> Request:
    """Make a request of a Python value.

    Bytes are sent as they are; a str under a text type (`text/csv`, …) too. Everything else is
    JSON, with numpy, pandas, dates and dataclasses written as the model server writes them.

    Args:
        content_type: Media type of the body; by default JSON, or what the bytes look like.
        accept, timeout_s, options: See `Request`.

    Raises:
        InvocationError: The payload cannot be written in that type.
        UsageError: The timeout is no time, or SageMaker would refuse an option.
    """
    if not timeout_s > 0:
        raise UsageError(f"`--timeout` is {timeout_s:g}", do="choose more than 0 seconds")
    if isinstance(payload, (bytes, bytearray, memoryview)):
        body = bytes(payload)
        content_type = content_type or guess_content_type(body)
    else:
        content_type = content_type or JSON
        body = _body(payload, media_type(content_type))
    _check(options)
    return Request(body, content_type, accept or "", timeout_s, options)


_OPTION_LENGTHS = {
    "--custom-attributes": 1024,
    "--inference-id": 64,
    "--session-id": 256,
    "--target-variant": 63,
}


def _check(options: InvokeOptions) -> None:
    """Raise UsageError for what InvokeEndpoint's API reference does not allow."""
    for (flag, most), value in zip(_OPTION_LENGTHS.items(), astuple(options), strict=True):
        if len(value) > most or not (value.isascii() and value.isprintable()):
            raise UsageError(
                f"`{flag}` is {value[:80]!r}",
                why=f"SageMaker takes at most {most:,} visible ASCII characters",
                do="shorten it, or encode it as ASCII",
            )


def read_payload(path: str | Path, content_type: str | None = None) -> tuple[bytes, str]:
    """The content of a file and its media type, by default guessed from its name and content.

    Raises:
        UsageError: The file cannot be read.
    """
    file = Path(path).expanduser()
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"`{path}` cannot be read",
            why=error.strerror or "",
            do="name a file that exists",
            code="ST12",
        ) from None
    guessed = mimetypes.guess_type(file.name)[0] or guess_content_type(data)
    return data, content_type or guessed


def _body(payload: object, media: str) -> bytes:
    if media == NPY:
        return _npy(payload)
    if isinstance(payload, str) and (media.startswith("text/") or media == JSON_LINES):
        return payload.encode()
    if media != JSON:
        raise InvocationError(
            f"The payload is a {type(payload).__name__}, which cannot be sent as {media}",
            why="only JSON, NPY, text and bytes are encoded for you",
            do="pass bytes, or leave --content-type out to send JSON",
            code="ST94",
        )
    try:
        text = json.dumps(payload, default=plain, allow_nan=False)
    except ValueError:
        raise InvocationError(
            f"The payload has a number that JSON does not know{_where_not_finite(payload)}",
            why="JSON has no NaN and no Infinity",
            do="replace it (for instance by None) before you send it",
            code="ST94",
        ) from None
    except TypeError as error:
        raise InvocationError(
            f"The payload cannot be written as JSON: {error}",
            do="convert it to lists, dicts, numbers and strings first",
            code="ST94",
        ) from None
    return text.encode()


def plain(value: object) -> object:
    """What JSON can hold in place of `value`; for `json.dumps(default=…)`.

    Raises:
        TypeError: There is no such form.
    """
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    kind = type(value)
    if package_of(kind) == "pandas" and hasattr(value, "to_dict"):
        if kind.__name__ == "DataFrame":
            return value.to_dict(orient="records")
        if kind.__name__ == "Series":
            return value.to_list() if hasattr(value, "to_list") else value.to_dict()
    if hasattr(value, "detach") and hasattr(value, "tolist"):
        return value.detach().tolist()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a value of type {kind.__name__}")


def _where_not_finite(value: object, path: str = "") -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f" at payload{path}"
    if isinstance(value, Mapping):
        pairs: Any = ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        pairs = ((f"[{index}]", item) for index, item in enumerate(value))
    else:
        try:
            return _where_not_finite(plain(value), path)
        except TypeError:
            return ""
    for step, item in pairs:
        if isinstance(item, (str, bytes, int)):
            continue
        if found := _where_not_finite(item, path + step):
            return found
    return ""


def _npy(payload: object) -> bytes:
    try:
        import numpy
    except ImportError:
        raise InvocationError(
            f"{NPY} needs numpy", do="install numpy, or send JSON instead", code="ST94"
        ) from None
    buffer = io.BytesIO()
    try:
        numpy.save(buffer, numpy.asarray(payload), allow_pickle=False)
    except ValueError as error:
        raise InvocationError(
            f"The payload cannot be sent as {NPY}",
            why=str(error),
            do="pass a numeric array",
            code="ST94",
        ) from None
    return buffer.getvalue()


def decode(body: bytes, content_type: str) -> Any:
    """The Python value of an answer: JSON and NPY decoded, text as str, the rest as bytes."""
    media = media_type(content_type)
    if media == JSON or media.endswith("+json"):
        try:
            return json.loads(body)
        except ValueError:
            return body.decode("utf-8", "replace")
    if media == JSON_LINES:
        try:
            return [json.loads(line) for line in body.splitlines() if line.strip()]
        except ValueError:
            return body.decode("utf-8", "replace")
    if media == NPY:
        try:
            import numpy

            return numpy.load(io.BytesIO(body), allow_pickle=False)
        except (ImportError, ValueError):
            return body
    if media.startswith("text/"):
        return body.decode(charset(content_type), "replace")
    return body


def media_type(content_type: str) -> str:
    """`text/plain` of `Text/plain; charset=utf-8`."""
    return content_type.partition(";")[0].strip().lower()


def charset(content_type: str) -> str:
    """The encoding of a text type; UTF-8 where it names none or one that Python does not know."""
    named = content_type.partition("charset=")[2].partition(";")[0].strip().strip('"')
    try:
        return codecs.lookup(named).name if named else "utf-8"
    except LookupError:
        return "utf-8"


def read_example(page: bytes) -> Any:
    """The example request on a model server's page `EXAMPLE_PATH`, or None where it has none.

    Raises:
        ValueError, LookupError, TypeError: This is not the page of a model server.
    """
    facts = _FACTS.search(page)
    example = json.loads(facts[1])["example"] if facts else None
    return None if example is None else json.loads(example)
