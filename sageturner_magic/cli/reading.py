"""Build a request from a command's arguments."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

from sageturner_magic.errors import UsageError


def payload_of(values: SimpleNamespace) -> dict[str, Any]:
    """The payload and its content type (None for JSON's), as keywords; empty where none is given.

    Raises UsageError for more than one, or one that is not JSON.
    """
    text, content_type = values.payload, values.content_type
    if values.file and text is not None:
        raise UsageError(
            "There is more than one payload", do="leave PAYLOAD or --file out", code="ST11"
        )
    if "-" in (values.file, text):
        return _standard_input(content_type)
    if values.file:
        return _file(values.file, content_type)
    if text is None:
        return {}
    if text.startswith("@"):
        return _file(text[1:], content_type)
    return _given(text.encode(), content_type)


def _standard_input(content_type: str | None) -> dict[str, Any]:
    """What is piped to the command: JSON, a picture or array by its signature, or what it says."""
    from sageturner_magic.endpoints import OCTETS, guess_content_type

    data = sys.stdin.buffer.read()
    guessed = guess_content_type(data)
    return _given(data, content_type or (None if guessed == OCTETS else guessed))


def _given(data: bytes, content_type: str | None) -> dict[str, Any]:
    if content_type and content_type != "application/json":
        return {"payload": data, "content_type": content_type}
    try:
        return {"payload": json.loads(data), "content_type": content_type}
    except ValueError as error:
        raise UsageError(
            "The payload is not JSON",
            why=str(error),
            do="quote it for your shell: '{\"key\": 1}', send a file with @FILE, or name another"
            " media type with --content-type",
            code="ST12",
        ) from None


def _file(path: str, content_type: str | None) -> dict[str, Any]:
    from sageturner_magic.endpoints import read_payload

    data, media_type = read_payload(path, content_type)
    return {"payload": data, "content_type": media_type}
