"""YAML text -> a tree of texts, lists and mappings that remembers where everything stands.

Scalars keep the text that the user wrote: `3.10`, `012345670123` and `no` get their type from the
schema, not from YAML's guess. The tree is built from the parser's events, so that no tag is ever
constructed, every duplicate key is seen, and aliases count as what they expand to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import Reader

from sageturner_magic.config.places import Mark, Origin, dotted
from sageturner_magic.errors import ConfigError, Finding

# The C parser reads a configuration some twenty times faster; some platforms lack it.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_DEPTH = 20
"""Levels of nesting; the schema has 5."""

MAX_VALUES = 10_000
"""Values in all, aliases expanded; the largest real configurations have some hundred."""

_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_NULLS = {"", "~", "null", "Null", "NULL"}


@dataclass(frozen=True)
class Node:
    """A value: None, the text as written, a list, or a mapping."""

    mark: Mark
    content: str | list[Node] | dict[str, Entry] | None
    size: int = 1

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


class Entry(NamedTuple):
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
        )
    builder = _Builder(text, origin)
    try:
        return builder.document(), builder.remarks
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, builder, text) from None
    # Escapes of characters that do not exist, in the parser that is written in Python.
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ConfigError("The YAML cannot be read", why=str(error), where=origin.name) from None


class _Builder:
    def __init__(self, text: str, origin: Origin) -> None:
        self.origin = origin
        self.remarks: list[Remark] = []
        self._lines = _BREAK.split(text)
        self._events: Iterator[Event] = yaml.parse(text, Loader=LOADER)
        self._anchors: dict[str, Node] = {}
        self._values = 0

    def mark(self, mark: Any) -> Mark:
        """A parser's mark as one that lies within the text (ends may lie just behind it)."""
        line = min(mark.line, len(self._lines) - 1)
        while line and not self._lines[line].strip() and mark.line >= len(self._lines) - 1:
            line -= 1
        column = mark.column if line == mark.line else len(self._lines[line])
        return Mark(line + 1, min(column + 1, max(1, len(self._lines[line]))))

    def document(self) -> Node:
        next(self._events)
        if isinstance(next(self._events), StreamEndEvent):
            return Node(Mark(1, 1), None)
        root = self._node(next(self._events), 0)
        next(self._events)
        after = next(self._events)
        if isinstance(after, DocumentStartEvent):
            self._remark(
                after,
                "A second YAML document begins here",
                why="one file or cell configures one endpoint",
                do="remove the `---` and what follows it, or move it to a file of its own",
            )
        return root

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, AliasEvent):
            return self._alias(event)
        mark = self.mark(event.start_mark)
        self._count(1, mark)
        if depth > MAX_DEPTH:
            raise ConfigError(
                "The YAML is nested too deeply",
                where=self.origin.place(mark),
                why=f"a configuration has at most {MAX_DEPTH} levels",
                do="look for brackets that are not closed, or for another file's content",
            )
        if event.tag:
            self._remark(
                event,
                f"The tag `{event.tag}` cannot be used",
                why="each key already says what type its value has",
                do="remove the tag; put the value in quotes where it is text",
            )
        before = self._values
        content: str | list[Node] | dict[str, Entry] | None
        if isinstance(event, ScalarEvent):
            is_null = not event.style and event.value in _NULLS
            content = None if is_null else event.value
        elif isinstance(event, SequenceStartEvent):
            content = self._sequence(depth + 1)
        else:
            content = self._mapping(depth + 1)
        node = Node(mark, content, 1 + self._values - before)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> Node:
        mark = self.mark(event.start_mark)
        node = self._anchors.get(event.anchor)
        if node is None:
            raise ConfigError(
                f"`*{event.anchor}` refers to nothing",
                where=self.origin.place(mark),
                why=f"no value above is marked with `&{event.anchor}`",
                do="write the value itself, or put it in quotes if it begins with a star",
            )
        self._count(node.size, mark)
        return node

    def _sequence(self, depth: int) -> list[Node]:
        nodes = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            nodes.append(self._node(event, depth))
        return nodes

    def _mapping(self, depth: int) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            mark = self.mark(event.start_mark)
            key = self._key(event, depth)
            node = self._node(next(self._events), depth)
            if key in entries:
                self._remark(
                    event,
                    f"`{printable(key)}` is written twice",
                    why=f"it already stands at {self.origin.place(entries[key].mark)}",
                    do="keep one of the two",
                )
                continue
            entries[key] = Entry(mark, node)
        return entries

    def _key(self, event: Any, depth: int) -> str:
        if isinstance(event, ScalarEvent):
            self._node(event, depth)
            return str(event.value)
        if isinstance(event, AliasEvent):
            content = self._alias(event).content
            if isinstance(content, str):
                return content
        is_template = isinstance(event, MappingStartEvent)
        raise ConfigError(
            "A list or a mapping stands where a key is expected",
            where=self.origin.place(self.mark(event.start_mark)),
            why="`{{ }}` is a template's placeholder, which nothing fills in here"
            if is_template
            else "keys are plain text",
            do="write `key: value`",
        )

    def _count(self, values: int, mark: Mark) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise ConfigError(
                f"The YAML holds more than {MAX_VALUES:,} values",
                where=self.origin.place(mark),
                why="that is data rather than a configuration",
                do="ship data as `artefact` or beside the code, and keep settings here",
            )

    def _remark(self, event: Event, what: str, *, why: str, do: str) -> None:
        mark = self.mark(event.start_mark)
        finding = Finding(what, why=why, do=do, where=self.origin.place(mark))
        self.remarks.append(Remark(mark, finding))


def printable(text: str) -> str:
    """A short, single-line form of what the user wrote, without credentials of URLs."""
    text = re.sub(r"://[^/@\s]+@", "://***@", " ".join(text.split()))
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _position(text: str, index: int) -> Mark:
    before = _BREAK.split(text[:index])
    return Mark(len(before), len(before[-1]) + 1)


# Words of the parsers' messages -> what happened and what to do. The two parsers (libyaml's and
# PyYAML's own) differ in wording, so each row holds what they share.
_SYNTAX = (
    (
        "mapping values are not allowed",
        "A colon stands where no key can be",
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
)


def _syntax_error(error: yaml.MarkedYAMLError, builder: _Builder, text: str) -> ConfigError:
    said = f"{error.context or ''} {error.problem or ''}"
    at = error.problem_mark or error.context_mark
    if at is None:
        return ConfigError("The YAML cannot be read", why=said.strip(), where=builder.origin.name)
    first = error.context_mark.line if error.context_mark else at.line
    lines = _BREAK.split(text)
    for number in range(max(first, at.line - 1), min(at.line + 1, len(lines))):
        if tab := re.match(r" *\t", lines[number]):
            return ConfigError(
                "A tab is used as indentation",
                where=builder.origin.place(Mark(number + 1, tab.end())),
                why="YAML indents with spaces only",
                do="replace the tab by two spaces for each level",
            )
    for words, what, do in _SYNTAX:
        if words in said:
            opened = error.context_mark if what.startswith("This ") else None
            mark = builder.mark(opened or at)
            return ConfigError(what, where=builder.origin.place(mark), do=do)
    return ConfigError(
        "The YAML cannot be read",
        why=said.strip(),
        where=builder.origin.place(builder.mark(at)),
        do="mend this place, or put the value in quotes",
    )
