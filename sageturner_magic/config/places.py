"""Keep the place of each value in the YAML, so that messages can name the line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Mark(NamedTuple):
    """A position in the YAML text; both numbers count characters and lines from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Origin:
    """Where a YAML text comes from, and how a place in it is named.

    Attributes:
        name: The path as the user gave it, or `In[5]`.
        is_cell: Whether places read `In[5], line 3` or `sageturner.yaml:7:13`.
        first_line: The line that line 1 of the text is in the file or cell.
    """

    name: str
    is_cell: bool = False
    first_line: int = 1

    @classmethod
    def file(cls, path: Path | str) -> Origin:
        """A file, named as the user gave it."""
        return cls(os.fspath(path))

    @classmethod
    def cell(cls, number: int, first_line: int = 2) -> Origin:
        """A notebook cell; line 1 of the cell is the line of the magic itself."""
        return cls(f"In[{number}]", is_cell=True, first_line=first_line)

    def place(self, mark: Mark) -> str:
        """`sageturner.yaml:7:13` or `In[5], line 3`."""
        line = mark.line + self.first_line - 1
        return f"{self.name}, line {line}" if self.is_cell else f"{self.name}:{line}:{mark.column}"


def dotted(path: Iterable[str | int]) -> str:
    """`compute.serverless.memory`, `container.generate_container.python_packages[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


@dataclass(frozen=True)
class Places:
    """The folder that a configuration's paths start from, and the place of each written key.

    Two configurations that mean the same are equal wherever their keys were written, so only
    the folder is compared.
    """

    folder: Path = field(default_factory=Path.cwd)
    origin: Origin | None = field(default=None, compare=False)
    marks: Mapping[str, Mark] = field(default_factory=dict, compare=False)
    given: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Dotted key -> the place of a value that does not come from the text: `--memory`."""

    @property
    def file(self) -> Path | None:
        """The file that the text was read from, where it still is one."""
        if self.origin is None or self.origin.is_cell or not self.origin.name:
            return None
        file = self.folder / Path(self.origin.name).name
        return file if file.is_file() else None

    def where(self, key: str) -> str:
        """The place of a dotted key, or of the nearest parent that was written."""
        while key and key not in self.given and key not in self.marks:
            key = re.sub(r"(^|\.)[^.\[]*$|\[[^\[]*$", "", key)
        if key in self.given:
            return self.given[key]
        if self.origin is None:
            return ""
        return self.origin.place(self.marks[key]) if key in self.marks else self.origin.name
