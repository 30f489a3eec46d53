"""What is known about one kind of error."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """One kind of error.

    Attributes:
        title: What went wrong, in a few words and without a full stop.
        cause: Why errors of this kind arise.
        example: A message of this kind, without its remedy.
        remedy: What to do, with a command or an edit where one fits every case.
    """

    title: str
    cause: str
    example: str
    remedy: str
