"""Suggest what can come next in a line of `%sageturner` and in YAML.

The core knows neither IPython nor AWS: what exists is asked of a `World`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sageturner_magic.notebook.completion.first_line import magic_first
from sageturner_magic.verbs import PERMITTED, VERBS, Argument, by_flag

_LINE = re.compile(r"(?:[\w\s.,]+=)?\s*(?P<percent>%{0,2})sageturner\s+(?P<rest>.*)", re.DOTALL)
_CAPTURE = re.compile(r"%%sageturner_(?:load|predict)\s+(?P<rest>\S*)")
_CELL = re.compile(r"\s*%%sageturner\s+(?P<verb>[\w-]+)")
_CONFIG_FILES = (".yaml", ".yml")
_MODELS = (".gz", ".joblib", ".pkl", ".pt", ".onnx", ".safetensors", ".npz", ".json")


class KnownNames(Protocol):
    """What there is to choose from. Nothing here may raise or take long."""

    def endpoints(self) -> Sequence[str]: ...

    def captures(self) -> Sequence[str]:
        """Names under which cells are captured."""

    def variables(self) -> Sequence[str]:
        """The notebook's variables that may be shipped as an artefact."""

    def profiles(self) -> Sequence[str]: ...

    def regions(self) -> Sequence[str]: ...

    def instance_types(self) -> Sequence[str]: ...

    def amis(self) -> Sequence[str]: ...

    def python(self, name: str) -> Sequence[str]:
        """Dotted names of the notebook that begin so."""


@dataclass(frozen=True)
class Completions:
    """What fits at the cursor.

    Attributes:
        fragment: What has been written of it, right before the cursor.
        texts: What may take the fragment's place.
        kind: What they are, as completers show it: `flag`, `key`, `path`, ….
        is_all: Whether nothing else fits, so that no other completer need be asked.
    """

    fragment: str
    texts: tuple[str, ...]
    kind: str
    is_all: bool = True


def complete(text: str, line: int, column: int, world: KnownNames) -> Completions | None:
    """What fits at a cursor in a cell; None where this is not ours to say.

    Args:
        line: From 0.
        column: From 0, in characters.
    """
    lines = text.split("\n")
    before = lines[line][:column]
    lines = magic_first(lines)
    body = _body(lines[0]) if line else ""
    if body == "configuration":
        until = "\n".join([*lines[1:line], before])
        return _yaml("\n".join(lines[1:]), until, lines[line][column:], world)
    if body == "payload":
        return _python(before, world)
    if match := _CAPTURE.fullmatch(before):
        return _that_begin(match["rest"], {*world.captures(), *world.endpoints()}, "endpoint")
    if match := _LINE.fullmatch(before):
        return _line(match["rest"], match["percent"] == "%%", world)
    return None


def _body(first_line: str) -> str:
    """What the body of a cell means that begins with this line."""
    match = _CELL.match(first_line)
    verb = VERBS.get(match["verb"]) if match else None
    return verb.cell if verb else ""


def _that_begin(fragment: str, texts: Iterable[str], kind: str) -> Completions:
    chosen = dict.fromkeys(text for text in texts if text.startswith(fragment))
    return Completions(fragment, tuple(sorted(chosen)), kind)


def _python(before: str, world: KnownNames) -> Completions:
    """The payload of invoke: a Python expression, in which IPython knows more than names."""
    match = re.search(r"(?:[^\W\d]\w*\.)*(?:[^\W\d]\w*)?$", before)
    name = match[0] if match else ""
    return Completions(name, tuple(world.python(name)) if name else (), "name", is_all=False)


# --- a line -------------------------------------------------------------------------------


def _line(rest: str, is_cell: bool, world: KnownNames) -> Completions | None:
    *words, fragment = re.split(r"\s+", rest)
    if not words:
        verbs = [verb.name for verb in VERBS.values() if verb.cell or not is_cell]
        return _that_begin(fragment, verbs, "verb")
    verb = words.pop(0)
    if verb not in VERBS:
        return None
    line = _Line(verb, words, is_cell)
    flag, equals, value = fragment.partition("=")
    if equals and (argument := line.flags.get(flag)) is not None:
        return line.values(argument, value, world)
    if words and (argument := line.flags.get(words[-1])) is not None and argument.takes_value:
        return line.values(argument, fragment, world)
    if fragment.startswith("-"):
        return _that_begin(fragment, line.unused_flags(), "flag")
    if argument := line.positional():
        found = line.values(argument, fragment, world)
        if found is None or fragment or found.texts:
            return found
    elif VERBS[verb].takes_payload:
        return _python(rest, world)
    return _that_begin(fragment, line.unused_flags(), "flag")


class _Line:
    """The words behind a verb."""

    def __init__(self, verb: str, words: Sequence[str], is_cell: bool) -> None:
        self._verb = verb
        self._arguments = VERBS[verb].arguments
        self.flags = by_flag(self._arguments)
        self._is_cell = is_cell
        self._used: set[str] = set()
        self._positionals = 0
        value_next = False
        for word in words:
            argument = self.flags.get(word.partition("=")[0])
            if argument is not None:
                self._used.add(argument.parameter)
                value_next = argument.takes_value and "=" not in word
            else:
                self._positionals += not value_next
                value_next = False

    def positional(self) -> Argument | None:
        """The next argument that is not a flag."""
        positionals = [argument for argument in self._arguments if not argument.flags]
        return positionals[self._positionals] if self._positionals < len(positionals) else None

    def unused_flags(self) -> list[str]:
        """The long form of every flag that may still be given."""
        return [
            argument.flags[-1]
            for argument in self._arguments
            if argument.flags
            and (argument.collects or argument.parameter not in self._used)
            # The configuration is the cell's body.
            and not (self._is_cell and argument.parameter == "config")
        ]

    def values(self, argument: Argument, fragment: str, world: KnownNames) -> Completions | None:
        if argument.choices:
            return _that_begin(fragment, argument.choices, "value")
        if argument.parameter == "permissions":
            *_, last = fragment.split(",")
            return _that_begin(last, PERMITTED, "verb")
        if argument.parameter == "name":
            takes_code = VERBS[self._verb].cell == "configuration"
            names = world.captures() if takes_code else world.endpoints()
            return _that_begin(fragment, names, "endpoint")
        choices = _VALUES.get(argument.parameter)
        return choices(fragment, world) if choices else Completions(fragment, (), "value")


_VALUES: dict[str, Callable[[str, KnownNames], Completions | None]] = {
    "config": lambda fragment, _: paths(fragment, _CONFIG_FILES),
    "profile": lambda fragment, world: _that_begin(fragment, world.profiles(), "profile"),
    "region": lambda fragment, world: _that_begin(fragment, world.regions(), "region"),
    "folder": lambda fragment, _: paths(fragment, ()),
    "path": lambda fragment, _: paths(fragment, _CONFIG_FILES),
    "file": lambda fragment, _: paths(fragment, None),
    **dict.fromkeys(("payload", "model", "example"), lambda text, world: _python(text, world)),
    "memory": lambda fragment, world: _value(("compute", "serverless", "memory"), fragment, world),
    "instance_type": lambda fragment, world: _value(
        ("compute", "server", "instance_type"), fragment, world
    ),
}


def paths(fragment: str, suffixes: tuple[str, ...] | None) -> Completions:
    """Folders, and the files with one of these suffixes (None: all files), that begin so."""
    head, slash, name = fragment.rpartition("/")
    try:
        folder = Path(head + slash or ".").expanduser()
        inside = sorted(folder.iterdir())
        found = [
            f"{head}{slash}{each.name}{'/' if each.is_dir() else ''}"
            for each in inside
            if each.name.startswith(name)
            and (name.startswith(".") or not each.name.startswith("."))
            and (each.is_dir() or suffixes is None or each.name.endswith(suffixes or ("\0",)))
        ]
    except (OSError, ValueError, RuntimeError):
        found = []
    # What can be chosen comes before what can be gone into.
    found.sort(key=lambda path: path.endswith("/"))
    return Completions(fragment, tuple(found), "path")


# --- the YAML -----------------------------------------------------------------------------


def _yaml(body: str, until: str, after: str, world: KnownNames) -> Completions | None:
    from sageturner_magic.config import schema_keys
    from sageturner_magic.notebook.completion.cursor import keys_in, place_in

    place = place_in(until)
    if place is None:
        return Completions("", (), "key")
    if place.expects == "value":
        return _value(place.path, place.fragment, world)
    section = [str(part) for part in place.path]
    written = {path[-1] for path in keys_in(body) if path[:-1] == place.path}
    keys = [
        f"{key}{_behind(place.in_flow, bool(schema_keys([*section, key])), after)}"
        for key in schema_keys(section)
        if key not in written and key.startswith(place.fragment)
    ]
    return Completions(place.fragment, tuple(keys), "key")


def _behind(in_flow: bool, is_section: bool, after: str) -> str:
    if after.startswith(":"):
        return ""
    return ":" if is_section and not in_flow else ": "


def _value(path: tuple[str | int, ...], fragment: str, world: KnownNames) -> Completions | None:
    from sageturner_magic.config import alternatives, options, schema_at

    key = path[-1]
    schema = schema_at(path) or {}
    if values := options(schema):
        return _that_begin(fragment, values, "value")
    if {"type": "boolean"}.items() <= schema.items():
        return _that_begin(fragment, ("true", "false"), "value")
    if key in ("code_dir", "docker_dir"):
        return paths(fragment, ())
    if path == ("artefact",):
        return paths(fragment, _MODELS)
    if path[:-1] == ("artefact",):
        return _that_begin(fragment, world.variables(), "variable")
    if path == ("name",):
        return _that_begin(fragment, {*world.captures(), *world.endpoints()}, "endpoint")
    if key == "instance_type":
        return _that_begin(fragment, world.instance_types(), "value")
    if key == "inference_ami_version":
        return _that_begin(fragment, world.amis(), "value")
    kinds = {one.get("type") for one in alternatives(schema)}
    if kinds == {"integer"}:
        usual = schema.get("default") or (schema.get("examples") or [""])[0]
        return _that_begin(fragment, [str(usual)] if usual else [], "value")
    return Completions(fragment, (), "value")
