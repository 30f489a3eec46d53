"""Collect what is wrong with a request, and where."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ...masking import masked
from ...problems import Problem

MOST = 20
"""Faults that one response tells at most."""

At = Any
"""A place in a request: None for the whole, or a pair of the place around it and a key. Pairs cost
less than text, which is written only of a place with a fault."""


Tried = dict[tuple[int, int], tuple[Any, Any, "Faults"]]
"""By identity of value and type: the value (whose identity must stay taken), what it became, and
its faults."""


class Fault(NamedTuple):
    """One thing that is wrong.

    Attributes:
        at: The place, as Python writes it: `rows[3].name`; empty for the whole request.
        message: What is expected there, and what came.
    """

    at: str
    message: str


class Full(Exception):
    """There are as many faults as a response tells."""


class Faults(list[Fault]):
    """The faults found so far.

    Attributes:
        tried: What came of an object or list that was tried as one of several types. Types that
            contain each other would otherwise try the innermost ones 2 ** depth times.
    """

    def __init__(self, tried: Tried) -> None:
        super().__init__()
        self.tried = tried

    def add(self, at: At, message: str) -> None:
        """Note a fault. Raises Full after the last that is told."""
        self.append(Fault(written(at), message))
        if len(self) >= MOST:
            raise Full

    def apart(self) -> Faults:
        """An empty list, for what may turn out to be no fault."""
        return Faults(self.tried)

    def take(self, others: Faults) -> None:
        """Note the faults of a list that was kept apart. Raises Full."""
        self.extend(others)
        if len(self) >= MOST:
            raise Full


class Invalid(Problem):
    """A request that is not what predict's signature says; answered with 422.

    Attributes:
        faults: What is wrong, in the order of the type's fields; the first is the headline.
    """

    def __init__(self, faults: list[Fault], status: int = 422, kind: str = "Invalid") -> None:
        super().__init__(status, kind, faults[0].message)
        self.faults = faults

    def error(self) -> dict[str, object]:
        faults = [{"at": at, "message": masked(message)} for at, message in self.faults]
        return {"type": self.kind, **faults[0], "faults": faults}

    def __str__(self) -> str:
        return "\n".join(f"{at}: {message}" if at else message for at, message in self.faults)


class InvalidAnswer(Invalid):
    """A response that is not what predict's signature says; answered with 500."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults, 500, "InvalidAnswer")


def written(at: At) -> str:
    """A place as text."""
    keys = []
    while at is not None:
        at, key = at
        keys.append(key)
    text = ""
    for key in reversed(keys):
        if isinstance(key, str) and key.isidentifier():
            text += f".{key}" if text else key
        else:
            text += f"[{json.dumps(_clipped(key), ensure_ascii=False)}]"
    return text


def kind_of(value: Any) -> str:
    """What JSON calls the type of a value; the Python type of what JSON does not know."""
    return _KINDS.get(type(value), type(value).__name__)


_KINDS = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def got(value: Any) -> str:
    """A value as a message shows it."""
    if isinstance(value, bytes):
        return "bytes (JSON needs `Content-Type: application/json`)"
    kind = kind_of(value)
    if kind in ("array", "object"):
        return "a list" if kind == "array" else "an object"
    if kind not in _KINDS.values():
        return f"a value of type {kind}"
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number of more than 38 digits"
    return json.dumps(_clipped(value), ensure_ascii=False)


def _clipped(value: Any) -> Any:
    return f"{value[:39]}…" if isinstance(value, str) and len(value) > 40 else value
