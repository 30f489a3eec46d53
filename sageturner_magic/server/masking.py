"""Keep the values of secrets out of everything that the server writes and sends about failures.

The worker says which values they are, once; `masked` is then used wherever text of user code goes
into the log, into an error response, or into a message to whoever started the server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TextIO

LEAST = 4
"""Characters of a value that is masked; shorter ones are in too many words."""

_hidden: list[tuple[str, str]] = []


def hide(values: Mapping[str, str]) -> None:
    """Mask these values from now on, each as the name that it has."""
    forms: dict[str, str] = {}
    for name, value in values.items():
        # As it is, in JSON or repr(), and line by line where a traceback divides it.
        quoted = (json.dumps(value)[1:-1], repr(value)[1:-1])
        lines = (line.strip() for line in value.splitlines())
        for form in (value, *quoted, *lines):
            if len(form) >= LEAST:
                forms[form] = f"[secret {name}]"
    # The longest first: one value may be a part of another.
    _hidden[:] = sorted(forms.items(), key=lambda each: -len(each[0]))


def masked(text: str) -> str:
    """`text` without the values of secrets."""
    for value, shown in _hidden:
        if value in text:
            text = text.replace(value, shown)
    return text


class MaskedStream:
    """A text stream that user code prints to, without the values of secrets."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(masked(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
