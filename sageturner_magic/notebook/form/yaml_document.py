"""Change a configuration's text key by key; comments and order stay."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import yaml

from sageturner_magic.config import Origin, alternatives, read_nodes, schema_at

Path = tuple[str, ...]
Value = str | list[str] | dict[str, str] | None
"""What a key holds, as it was written: None where it is left out or empty."""

_WIDE = 1_000_000
"""Columns after which lines are folded: never."""


class Document:
    """The YAML of a form."""

    def __init__(self, text: str = "") -> None:
        """
        Args:
            text: YAML that the configuration's reader accepts.
        """
        self._text = text
        self._read: tuple[str, Any] = ("", {})
        self._editor: tuple[Any, Any] | None = None

    @property
    def text(self) -> str:
        """The YAML; exactly what was given until something changes."""
        return self._text

    def get(self, path: Path) -> Value:
        """The value of a key, its scalars as they were written."""
        found: Any = self._data()
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        value: Value = found
        return value

    def has(self, path: Path) -> bool:
        """Whether the key is written, with a value or without."""
        above = self.get(path[:-1])
        return isinstance(above, dict) and path[-1] in above

    def set(self, path: Path, value: Value) -> None:
        """Give a key a value; None, "", [] and {} remove it, and the sections that this empties."""
        if value == self.get(path) or (not value and not self.has(path)):
            return
        if self._editor is None:
            self._editor = self._open()
        editor, root = self._editor
        if value:
            self._put(root, path, _typed(path, value))
        else:
            _remove(root, path)
        self._text = _dumped(editor, root) if root else ""

    def _data(self) -> Any:
        if self._read[0] != self._text:
            root, _ = read_nodes(self._text, Origin.file(""))
            self._read = (self._text, root.data() or {})
        return self._read[1]

    def _open(self) -> tuple[Any, Any]:
        from ruamel.yaml import YAML
        from ruamel.yaml.comments import CommentedMap
        from ruamel.yaml.util import load_yaml_guess_indent

        editor = YAML()
        editor.width = _WIDE
        editor.preserve_quotes = True
        _, indent, offset = load_yaml_guess_indent(self._text)
        nested = re.search(
            r"(?m)^[^\s#-][^\n]*:[^\n]*\n(?:\s*(?:#[^\n]*)?\n)*( +)[^\s#-]", self._text
        )
        editor.indent(
            mapping=len(nested[1]) if nested else 2,
            sequence=indent or 4,
            offset=offset if indent else 2,
        )
        return editor, editor.load(self._text) or CommentedMap()

    def _put(self, root: Any, path: Path, value: Any) -> None:
        section = root
        for key in path[:-1]:
            if not isinstance(section.get(key), dict):
                section[key] = {}
            section = section[key]
        old = section.get(path[-1])
        if isinstance(old, dict) and isinstance(value, dict):
            # The pairs that stay keep their comments. Keys and values are compared as written.
            before = self.get(path)
            assert isinstance(before, dict)
            written = dict(zip(before, list(old), strict=True))
            for key in before.keys() - value.keys():
                del old[written[key]]
            for key, each in value.items():
                if before.get(key) != each:
                    old[written.get(key, key)] = each
        else:
            section[path[-1]] = value


def _dumped(editor: Any, root: Any) -> str:
    out = io.StringIO()
    editor.dump(root, out)
    return out.getvalue()


def _remove(root: Any, path: Path) -> None:
    sections = [root]
    for key in path[:-1]:
        sections.append(sections[-1][key])
    for section, key in zip(reversed(sections), reversed(path), strict=True):
        del section[key]
        if section:
            return


def _typed(path: Path, value: Value) -> Any:
    """A value as YAML writes it without quotes, where its key is a number or a switch."""
    if isinstance(value, Mapping):
        return {_quoted(key): _quoted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_quoted(each) for each in value]
    if value is None:
        return None
    kinds = {one.get("type") for one in alternatives(schema_at(path) or {})}
    if "integer" in kinds and re.fullmatch(r"-?(0|[1-9]\d{0,17})", value):
        return int(value)
    if kinds == {"boolean"} and value in ("true", "false"):
        return value == "true"
    return _quoted(value)


def _quoted(text: str) -> str:
    """`text`, in quotes where any YAML would take it for something else: `3.10`, `no`."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, SingleQuotedScalarString

    if not text.isprintable():
        # Line breaks of any kind have to be escapes, or a reader folds them.
        escaped: str = DoubleQuotedScalarString(text)
        return escaped
    try:
        is_text = isinstance(yaml.safe_load(text), str)
    except (yaml.YAMLError, ValueError):
        # Where the plain form means nothing, quotes are added anyway.
        return text
    quoted: str = text if is_text else SingleQuotedScalarString(text)
    return quoted
