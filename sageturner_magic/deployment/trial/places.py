"""Where a line of the module stands in the notebook."""

from __future__ import annotations

from sageturner_magic.values import CapturedModule


def place(file: str, line: int, module: CapturedModule) -> str:
    """`In[n], line m` for a line of sageturner.py that was copied from a cell, else `file:line`."""
    if file == "sageturner.py" and line in module.lines:
        return str(module.lines[line])
    return f"{file}:{line}"
