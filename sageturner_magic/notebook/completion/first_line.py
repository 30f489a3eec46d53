"""Allow comments above our cell magics, which IPython expects on the first line."""

from __future__ import annotations

OURS = "%%sageturner"


def magic_first(lines: list[str]) -> list[str]:
    """The lines of a cell with its `%%sageturner` line first, where only comments stood above it.

    The lines below it keep their numbers, so that messages name those that a person sees.

    Args:
        lines: With or without their ends, as IPython's input transformers get them.
    """
    for number, line in enumerate(lines):
        if line.startswith(OURS):
            return [_whole(line, lines[0]), *lines[:number], *lines[number + 1 :]]
        if line.strip() and not line.lstrip().startswith("#"):
            break
    return lines


def _whole(line: str, other: str) -> str:
    """`line`, which may have been a cell's last, with an end if `other` has one."""
    return f"{line}\n" if other.endswith("\n") and not line.endswith("\n") else line
