"""Read YAML as a tree of texts, lists and mappings that knows the place of each.

Scalars keep the text that the user wrote: `3.10`, `012345670123` and `no` get their type from the
schema, not from YAML's guess. The tree is made of the nodes that `yaml.compose` gives, so that no
tag is ever constructed, every duplicate key is seen, and aliases count as what they expand to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml
from yaml.reader import Reader

from sageturner_magic.config.places import Mark, Origin, dotted
from sageturner_magic.errors import ConfigError, Finding

MAX_DEPTH = 20
"""Levels of nesting; the schema has 5."""

MAX_VALUES = 10_000
"""Values in all, aliases expanded; the largest real configurations have some hundred."""

_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_NULLS = {"", "~", "null", "Null", "NULL"}


class _TooManyValues(Exception):
    pass


def untyped(loader: Any) -> Any:
    """A loader that gives values no tag but a written one, and that ends at `MAX_VALUES`."""

    class Loader(loader):  # type: ignore[misc]
        values = 0

        def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
            self.values += 1
            if self.values > MAX_VALUES:
                raise _TooManyValues
            return ""

    return Loader


# The C parser reads a configuration some twenty times faster; some platforms do not have it.
LOADER = untyped(getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@dataclass(frozen=True)
class Node:
    """A value: None, the text as written, a list, or a mapping."""

    mark: Mark
    content: str | list[Node] | dict[str, KeyValue] | None

    def data(self) -> Any:
        """The plain Python value: None, str, list and dict only."""
        if isinstance(self.content, list):
            return [node.data() for node in self.content]
        if isinstance(self.content, dict):
            return {key: entry.node.data() for key, entry in self.content.items()}
        return self.content

    def marks(self) -> Mapping[str, Mark]:
        """Dotted key -> the value's place if it is a text, otherwise the key's."""
        return {dotted(path): mark for path, mark in self._walk(())}

    def _walk(self, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Mark]]:
        if isinstance(self.content, list):
            for index, node in enumerate(self.content):
                yield (*path, index), node.mark
                yield from node._walk((*path, index))
        elif isinstance(self.content, dict):
            for key, entry in self.content.items():
                yield (*path, key), entry.mark_to_show
                yield from entry.node._walk((*path, key))


class KeyValue(NamedTuple):
    """One `key: value` of a mapping."""

    mark: Mark
    node: Node

    @property
    def mark_to_show(self) -> Mark:
        return self.node.mark if isinstance(self.node.content, str) else self.mark


class Remark(NamedTuple):
    """A finding with the position that it is sorted by."""

    mark: Mark
    finding: Finding


def read_nodes(text: str, origin: Origin) -> tuple[Node, list[Remark]]:
    """The tree of a YAML text, and what is wrong with it but does not stop reading.

    Raises:
        ConfigError: the text is not YAML, or is not of a configuration's size or depth.
    """
    if bad := Reader.NON_PRINTABLE.search(text):
        raise ConfigError(
            f"The character U+{ord(bad[0]):04X} cannot stand in YAML",
            where=origin.place(_position(text, bad.start())),
            do="remove it, or write it as an escape in double quotes",
            code="ST21",
        )
    tree = _Tree(text, origin)
    try:
        root = yaml.compose(text, Loader=LOADER)
        node = tree.node(root) if root else Node(Mark(1, 1), None)
    except _TooManyValues:
        raise ConfigError(
            f"The YAML holds more than {MAX_VALUES:,} values",
            where=origin.name,
            why="that is data rather than a configuration",
            do="ship data as `artefact` or beside the code, and keep settings here",
            code="ST21",
        ) from None
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, origin) from None
    except RecursionError:
        raise _too_deep(origin.name) from None
    # Escapes of characters that do not exist, in the parser that is written in Python.
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ConfigError(
            "The YAML cannot be read", why=str(error), where=origin.name, code="ST21"
        ) from None
    # What an alias repeats is not said again.
    return node, list(dict.fromkeys(tree.remarks))


class _Tree:
    """Turns nodes of PyYAML into ours, and notes what is wrong with them."""

    def __init__(self, text: str, origin: Origin) -> None:
        self.remarks: list[Remark] = []
        self._lines = _BREAK.split(text)
        self._origin = origin
        self._values = 0

    def node(self, node: yaml.Node, depth: int = 0) -> Node:
        mark = _mark(node.start_mark, self._lines)
        self._values += 1
        if self._values > MAX_VALUES:
            raise _TooManyValues
        if depth > MAX_DEPTH:
            raise _too_deep(self._origin.place(mark))
        if node.tag:
            self._remark(
                mark,
                f"The tag `{node.tag}` cannot be used",
                why="each key already says what type its value has",
                do="remove the tag; put the value in quotes where it is text",
            )
        if isinstance(node, yaml.MappingNode):
            return Node(mark, self._mapping(node, depth + 1))
        if isinstance(node, yaml.SequenceNode):
            return Node(mark, [self.node(each, depth + 1) for each in node.value])
        is_null = node.value in _NULLS and not getattr(node, "style", "")
        return Node(mark, None if is_null else node.value)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, KeyValue]:
        entries: dict[str, KeyValue] = {}
        for written, value in node.value:
            mark = self.node(written, depth).mark
            if not isinstance(written, yaml.ScalarNode):
                raise ConfigError(
                    "There is a list or a mapping where a key is expected",
                    where=self._origin.place(mark),
                    why="`{{ }}` is a template's placeholder, which nothing fills in here"
                    if isinstance(written, yaml.MappingNode)
                    else "keys are plain text",
                    do="write `key: value`",
                    code="ST21",
                )
            key = str(written.value)
            entry = KeyValue(mark, self.node(value, depth))
            if key in entries:
                self._remark(
                    mark,
                    f"`{printable(key)}` is written twice",
                    why=f"it already stands at {self._origin.place(entries[key].mark)}",
                    do="keep one of the two",
                )
            entries.setdefault(key, entry)
        return entries

    def _remark(self, mark: Mark, what: str, *, why: str, do: str) -> None:
        finding = Finding(what, why=why, do=do, where=self._origin.place(mark), code="ST20")
        self.remarks.append(Remark(mark, finding))


def printable(text: str) -> str:
    """A short, single-line form of what the user wrote, without credentials of URLs."""
    text = re.sub(r"://[^/@\s]+@", "://***@", " ".join(text.split()))
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _position(text: str, index: int) -> Mark:
    before = _BREAK.split(text[:index])
    return Mark(len(before), len(before[-1]) + 1)


def _mark(mark: Any, lines: list[str]) -> Mark:
    """A parser's mark as one that lies within the text (ends may lie just behind it)."""
    line = min(mark.line, len(lines) - 1)
    while line and not lines[line].strip() and mark.line >= len(lines) - 1:
        line -= 1
    column = mark.column if line == mark.line else len(lines[line])
    return Mark(line + 1, min(column + 1, max(1, len(lines[line]))))


def _too_deep(where: str) -> ConfigError:
    return ConfigError(
        "The YAML is nested too deeply",
        where=where,
        why=f"a configuration has at most {MAX_DEPTH} levels",
        do="look for brackets that are not closed, for an alias within what it refers to, or for "
        "another file's content",
        code="ST21",
    )


# Words of the parsers' messages -> what happened and what to do. The two parsers (libyaml's and
# PyYAML's own) differ in wording, so each row holds what they share.
_SYNTAX = (
    (
        "mapping values are not allowed",
        "A colon is where no key can be",
        "put a value that contains `: ` in quotes, and indent the keys of one section alike",
    ),
    (
        "while scanning a simple key",
        "This line has no `key:`",
        "write `key: value` with a space after the colon",
    ),
    ("while scanning a quoted scalar", "This quote is not closed", "close the quote"),
    ("while parsing a flow", "This bracket is not closed", "close it, with commas between entries"),
    (
        "while parsing a block",
        "The indentation does not fit the lines above",
        "indent the keys and the `-` of one section by the same number of spaces",
    ),
    (
        "unknown escape character",
        "A backslash in double quotes begins an escape that does not exist",
        "use single quotes",
    ),
    (
        "cannot start any token",
        "A value cannot begin with this character",
        "put the value in quotes",
    ),
    (
        "while scanning an alias",
        "A value that begins with `*` is a reference in YAML",
        "put the value in quotes",
    ),
    (
        "found another document",
        "A second YAML document begins here",
        "remove the `---` and what follows it: one file or cell configures one endpoint",
    ),
    (
        "found duplicate anchor",
        "An anchor (`&`) of this name is above already",
        "give each anchor a name of its own, or write the value itself",
    ),
)


def _syntax_error(error: yaml.MarkedYAMLError, text: str, origin: Origin) -> ConfigError:
    said = f"{error.context or ''} {error.problem or ''}"
    at = error.problem_mark or error.context_mark
    if at is None:
        return ConfigError(
            "The YAML cannot be read", why=said.strip(), where=origin.name, code="ST21"
        )
    lines = _BREAK.split(text)
    where = origin.place(_mark(at, lines))
    if "maximum nesting depth" in said:
        return _too_deep(where)
    if "undefined alias" in said:
        name = re.match(r"[^\s,\[\]{}]*", lines[at.line][at.column :])
        return ConfigError(
            f"`{name[0] if name else '*'}` refers to nothing",
            where=where,
            why="no value above is marked with `&` and this name",
            do="write the value itself, or put it in quotes if it begins with a star",
            code="ST21",
        )
    first = error.context_mark.line if error.context_mark else at.line
    for number in range(max(first, at.line - 1), min(at.line + 1, len(lines))):
        if tab := re.match(r" *\t", lines[number]):
            return ConfigError(
                "A tab is used as indentation",
                where=origin.place(Mark(number + 1, tab.end())),
                why="YAML indents with spaces only",
                do="replace the tab by two spaces for each level",
                code="ST21",
            )
    for words, what, do in _SYNTAX:
        if words in said:
            if what.startswith("This ") and error.context_mark:
                where = origin.place(_mark(error.context_mark, lines))
            return ConfigError(what, where=where, do=do, code="ST21")
    return ConfigError(
        "The YAML cannot be read",
        why=said.strip(),
        where=where,
        do="fix this place, or put the value in quotes",
        code="ST21",
    )
