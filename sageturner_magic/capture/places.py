"""Where a line of the module stands in the notebook."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sageturner_magic.values import CapturedModule

_FRAME = re.compile(r'File "(?:[^"\n]*[/\\])?sageturner\.py", line (\d+)')
_SHORT = re.compile(r"(?<![\w./\\-])(?:[\w./\\-]*[/\\])?sageturner\.py:(\d+)")


def place(file: str, line: int, module: CapturedModule) -> str:
    """`In[n], line m` for a line of sageturner.py that was copied from a cell, else `file:line`."""
    if file == "sageturner.py" and line in module.lines:
        return str(module.lines[line])
    return f"{file}:{line}"


def user_frames(text: str | Sequence[str], module: CapturedModule) -> str:
    """`text` (a traceback, log lines) with lines of sageturner.py named by their cells.

    `File "/opt/program/sageturner.py", line 7` and `sageturner.py:7` become `In[3], line 2`;
    lines that were not copied from a cell stay as they are.
    """
    whole = text if isinstance(text, str) else "\n".join(text)

    def renamed(match: re.Match[str]) -> str:
        known = module.lines.get(int(match[1]))
        return str(known) if known is not None else match[0]

    return _SHORT.sub(renamed, _FRAME.sub(renamed, whole))
