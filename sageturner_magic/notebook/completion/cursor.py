"""Find the keys above a cursor in YAML, and what is expected there.

A text that is being written is seldom valid YAML, so it is not parsed but read the way a person
does: block sections by their indentation, `{…}` and `[…]` by their brackets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

Path = tuple[str | int, ...]

_KEY = re.compile(r"""(?P<key>[^\s:#,{}\[\]'"][^:#,{}\[\]'"]*|"[^"]*"|'[^']*')\s*:(?=\s|$)\s*""")


@dataclass(frozen=True)
class Cursor:
    """A cursor in a configuration.

    Attributes:
        path: The keys above it; for a value, also its own. An entry of a list counts as 0.
        expects: Whether a key or a value is written there.
        fragment: What of it has been written already.
        in_flow: Whether it stands in `{…}` or `[…]`.
    """

    path: Path
    expects: Literal["key", "value"]
    fragment: str
    in_flow: bool = False


@dataclass
class _Frame:
    """An open bracket."""

    is_mapping: bool
    key: str | None = None


@dataclass
class _Reader:
    keys: list[Path] = field(default_factory=list)
    _sections: list[tuple[int, str | int]] = field(default_factory=list)
    _frames: list[_Frame] = field(default_factory=list)
    _token: str = ""
    _quote: str = ""
    _place: Cursor | None = None

    def read(self, text: str) -> Cursor | None:
        """Note every key of `text`; the place at its end, None inside a comment."""
        for line in text.split("\n"):
            self._place = None
            if self._frames:
                self._flow(line)
            else:
                self._block(line)
        return self._place

    def _block(self, line: str) -> None:
        content = line.lstrip(" ")
        indent = len(line) - len(content)
        if content.startswith("#"):
            return
        if not content:
            # Only the cursor's own line counts here, and that is the last one.
            self._place = Cursor(self._above(indent), "key", "")
            return
        is_item = False
        while content == "-" or content.startswith("- "):
            # The entries of a list may stand as far left as the key that they belong to.
            self._close(indent + (0 if is_item else 1))
            rest = content[1:].lstrip(" ")
            self._sections.append((indent + 1, 0))
            indent += len(content) - len(rest)
            content, is_item = rest, True
        if not is_item:
            self._close(indent)
        match = _KEY.match(content)
        if match is None:
            if is_item and content[:1] in ("{", "["):
                self._flow(content)
                return
            expects: Literal["key", "value"] = "value" if is_item else "key"
            self._end(content, self._path(), expects)
            return
        self._sections.append((indent, match["key"].strip().strip("\"'")))
        self.keys.append(self._path())
        rest = content[match.end() :]
        if rest[:1] in ("{", "["):
            self._flow(rest)
        elif content[-1] != ":":
            self._end(rest, self._path(), "value")

    def _flow(self, text: str) -> None:
        for index, char in enumerate(text):
            if self._quote:
                self._quote = "" if char == self._quote else self._quote
                self._token += char
            elif char in "\"'" and not self._token.strip():
                self._quote = char
                self._token += char
            elif char == "#" and text[:index].endswith((" ", "\t")):
                return
            elif char in "{[":
                self._frames.append(_Frame(char == "{"))
                self._token = ""
            elif char in "}]":
                self._frames.pop()
                self._token = ""
                if not self._frames:
                    return
            elif char == ",":
                self._frames[-1].key = None
                self._token = ""
            elif char == ":" and self._frames[-1].is_mapping and text[index + 1 : index + 2] in " ":
                self._frames[-1].key = self._token.strip().strip("\"'")
                self.keys.append(self._flow_path())
                self._token = ""
            else:
                self._token += char
        last = self._frames[-1]
        expects: Literal["key", "value"] = (
            "key" if last.is_mapping and last.key is None else "value"
        )
        if not (text.endswith(":") and not self._token):
            self._place = Cursor(self._flow_path(), expects, self._token.lstrip(), in_flow=True)

    def _end(self, written: str, path: Path, expects: Literal["key", "value"]) -> None:
        if re.search(r"(^|\s)#", written) is None:
            self._place = Cursor(path, expects, written)

    def _above(self, indent: int) -> Path:
        return tuple(key for at, key in self._sections if at < indent)

    def _close(self, indent: int) -> None:
        while self._sections and self._sections[-1][0] >= indent:
            self._sections.pop()

    def _path(self) -> Path:
        return tuple(key for _, key in self._sections)

    def _flow_path(self) -> Path:
        inner = [frame.key if frame.is_mapping else 0 for frame in self._frames]
        return (*self._path(), *(key for key in inner if key is not None))


def place_in(text: str) -> Cursor | None:
    """The place at the end of `text`; None in a comment, or right behind a key's colon."""
    return _Reader().read(text)


def keys_in(text: str) -> set[Path]:
    """The path of every key of `text`."""
    reader = _Reader()
    reader.read(text)
    return set(reader.keys)
