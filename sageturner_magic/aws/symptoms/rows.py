"""What a row of the tables of known errors is."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A known problem.

    Attributes:
        pattern: Searched for in `Code: message`; its groups may be used in `why` and `do`.
        why: The cause. `{message}` is AWS's own; also {region}, {profile}, {instance_type}.
        do: The remedy.
    """

    pattern: re.Pattern[str]
    why: str
    do: str


def row(pattern: str, why: str, do: str) -> Row:
    """A row of which `pattern` is searched for without regard to case."""
    return Row(re.compile(pattern, re.IGNORECASE), why, do)
