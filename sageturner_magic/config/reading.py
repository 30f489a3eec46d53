"""Read YAML into a checked `Config`, or report all mistakes at once."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sageturner_magic.config.configuration import Config
from sageturner_magic.config.keys import (
    all_keys,
    expectation,
    options,
    schema_at,
    schema_keys,
)
from sageturner_magic.config.nodes import KeyValue, Node, Remark, printable, read_nodes
from sageturner_magic.config.places import Mark, Origin, Places, dotted
from sageturner_magic.errors import ConfigError, Finding

MAX_BYTES = 1_000_000
"""Real configurations have a few kilobytes."""

MAX_FINDINGS = 100
"""Mistakes that are shown; a file with more of them is another kind of file."""

OURS, AMERICAN = "artefact", "artifact"
"""A key that may be spelt in both ways."""

KeyPath = tuple[str | int, ...]


def read_config(path: Path) -> Config:
    """Read a configuration file; its paths are relative to the folder that it is in.

    Raises:
        ConfigError: every mistake that was found, or why the file cannot be read.
    """
    origin = Origin.file(path)
    try:
        file = path.expanduser()
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
            size = max(len(content), os.fstat(stream.fileno()).st_size)
    except IsADirectoryError:
        raise _is_a_directory(path, file) from None
    except FileNotFoundError:
        raise _does_not_exist(path, file) from None
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"`{origin.name}` cannot be read",
            why=getattr(error, "strerror", None) or str(error),
            do="name a YAML file that you may read with `--config-path`",
            code="ST22",
        ) from None
    if size > MAX_BYTES:
        raise _too_large(origin, size)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_text(origin, content, error) from None
    return parse_config(text, folder=file.absolute().parent, origin=origin)


def parse_config(text: str, *, folder: Path, origin: Origin, name: str | None = None) -> Config:
    """Read a configuration from text; its paths are relative to `folder`.

    Args:
        name: The endpoint's, where the text has no `name`.

    Raises:
        ConfigError: every mistake that was found.
    """
    if len(text) > MAX_BYTES:
        raise _too_large(origin, len(text))
    root, remarks = read_nodes(text.removeprefix("\ufeff"), origin)
    if not isinstance(root.content, dict):
        raise _not_a_mapping(root, origin)
    root = _in_our_spelling(root.mark, root.content)
    places = Places(folder, origin, root.marks())
    config = None
    number = len(remarks)
    try:
        data = {"name": name, **root.data()} if name else root.data()
        config = Config.model_validate(data, context=places)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
        number += len(mistakes)
        remarks += [_remark(mistake, root, origin) for mistake in mistakes[:MAX_FINDINGS]]
    if config is None or remarks:
        remarks.sort(key=lambda remark: remark.mark)
        shown = [remark.finding for remark in remarks[:MAX_FINDINGS]]
        if number > len(shown):
            shown.append(
                Finding(f"{number - len(shown)} more problems", do="fix these first", code="ST20")
            )
        raise ConfigError.of(shown)
    return config


def _in_our_spelling(mark: Mark, content: dict[str, KeyValue]) -> Node:
    """The top level with `artefact` for `artifact`, unless both are there."""
    if OURS in content:
        return Node(mark, content)
    return Node(mark, {OURS if key == AMERICAN else key: each for key, each in content.items()})


def _remark(mistake: Any, root: Node, origin: Origin) -> Remark:
    """One of pydantic's errors in the user's words, at the user's place."""
    path, is_key = _path_in(root, mistake["loc"])
    entry = _entry(root, path)
    key = printable(dotted(path))
    if mistake["type"] == "extra_forbidden":
        mark = entry.mark
        what, why, do = _unknown_key(path)
    elif mistake["type"] == "missing":
        mark = _entry(root, path[:-1]).mark
        schema = schema_at(path) or {}
        what = f"`{key}` is missing"
        why = re.split(r"[.:]\s", schema["description"])[0]
        do = f"add `{path[-1]}: {schema['examples'][0]}`"
    else:
        mark = entry.mark if is_key else entry.mark_to_show
        what = f"`{key}` cannot be used" if is_key else _as_written(path, entry.node)
        why, do = _wrong_value(mistake, path, entry.node)
    where = origin.place(mark)
    return Remark(mark, Finding(what, why=why, do=do, where=where, key=dotted(path), code="ST20"))


def _path_in(root: Node, location: KeyPath) -> tuple[KeyPath, bool]:
    """A location of pydantic's, without the names of alternatives (`[text]`) in it.

    Also tells whether the mistake is in the key itself rather than in its value.
    """
    path: list[str | int] = []
    node: Node | None = root
    for part in location:
        if node and isinstance(node.content, dict) and part in node.content:
            node = node.content[str(part)].node
        elif node and isinstance(node.content, list) and isinstance(part, int):
            node = node.content[part]
        elif isinstance(part, str) and part.startswith("["):
            if part == "[key]":
                return tuple(path), True
            continue
        else:
            # A key that was left out, though it is required or its neighbour needs it.
            node = None
        path.append(part)
    return tuple(path), False


def _entry(root: Node, path: KeyPath) -> KeyValue:
    """The entry at `path`, or the nearest one above it."""
    entry = KeyValue(root.mark, root)
    for part in path:
        content = entry.node.content
        if isinstance(content, dict) and part in content:
            entry = content[str(part)]
        elif isinstance(content, list) and isinstance(part, int):
            entry = KeyValue(content[part].mark, content[part])
        else:
            break
    return entry


def _as_written(path: KeyPath, node: Node) -> str:
    key = printable(dotted(path))
    if isinstance(node.content, str):
        # Values of the environment may be secrets, and messages end up in logs.
        if path[0] in ("environment", "secrets"):
            return f"The value of `{key}` cannot be used"
        return f"`{key}` is `{printable(node.content)}`" if node.content else f"`{key}` is empty"
    if node.content is None:
        return f"`{key}` has no value"
    return f"`{key}` does not fit"


def _wrong_value(mistake: Any, path: KeyPath, node: Node) -> tuple[str, str]:
    if mistake["type"] == "rule":
        return mistake["ctx"]["why"], mistake["ctx"]["do"]
    schema = schema_at(path) or {}
    expected = f"expected {expectation(schema)}"
    if isinstance(node.content, list):
        expected += ", found a list"
    elif isinstance(node.content, dict):
        expected += ", found `key: value` pairs"
    if not isinstance(node.content, str):
        if node.content is None and "examples" in schema:
            return expected, f"write `{path[-1]}: {schema['examples'][0]}`"
        if node.content is None:
            return expected, 'put `""` or `"null"` in quotes if that is the text'
        return expected, ""
    if nearest := _nearest_option(options(schema), node.content):
        return expected, f"write `{nearest}`"
    if "array" in (one.get("type") for one in schema.get("oneOf", [schema])):
        return expected, f"write it as `[{printable(node.content)}]`"
    return expected, ""


def _nearest_option(values: list[str], written: str) -> str:
    number = re.fullmatch(r"(\d{1,9})(?:\.\d+)?\s*([gG]i?[bB]?)?(?:[mM]i?[bB]?)?", written)
    if number and all(value.isdigit() for value in values):
        wanted = int(number[1]) * (1024 if number[2] else 1)
        return min(values, key=lambda value: (abs(int(value) - wanted), -int(value)), default="")
    near = difflib.get_close_matches(written, values, n=1)
    folded = [value for value in values if value.lower() == written.lower()]
    return (folded or near or [""])[0]


def _unknown_key(path: KeyPath) -> tuple[str, str, str]:
    key, section = str(path[-1]), [str(part) for part in path[:-1]]
    what = f"`{printable(dotted(path)) or '(empty)'}` is not a known key"
    siblings = schema_keys(section)
    elsewhere = [known for known in all_keys() if list(known[:-1]) != section]
    if key == "<<":
        return what, "merging of mappings is not supported", "write the keys out"
    if near := _nearest_key(key, siblings):
        return what, f"did you mean `{near}`?", f"write `{near}`"
    same = [known for known in elsewhere if known[-1] == key]
    near = _nearest_key(key, (known[-1] for known in elsewhere))
    if homes := same or [known for known in elsewhere if known[-1] == near]:
        home = dotted(homes[0][:-1])
        name = homes[0][-1]
        belongs = (
            f"`{name}` belongs under `{home}`" if home else f"`{name}` is a key of the top level"
        )
        return what, belongs, f"move it to `{dotted(homes[0])}`"
    return what, f"known here: {', '.join(siblings)}", "remove it, or use one of these"


def _nearest_key(key: str, known: Iterable[str]) -> str:
    keys = list(known)
    plain = key.lower().replace("-", "_")
    if close := difflib.get_close_matches(plain, keys, n=1, cutoff=0.7):
        return close[0]
    return next((name for name in keys if len(plain) > 2 and name.startswith(plain)), "")


def _not_a_mapping(root: Node, origin: Origin) -> ConfigError:
    if root.content is None:
        return ConfigError(
            "The configuration is empty",
            where=origin.name,
            do="write at least `name: my-model`; `init` writes a commented example",
            code="ST23",
        )
    where = origin.place(root.mark)
    if isinstance(root.content, list):
        return ConfigError(
            "The configuration is a list",
            where=where,
            why="expected `key: value` lines",
            do="remove the leading `- `, and begin with `name: my-model`",
            code="ST23",
        )
    has_colon = re.match(r"\s*\w+:\S", str(root.content))
    return ConfigError(
        f"The configuration is the text `{printable(str(root.content))}`",
        where=where,
        why="a key needs a space after its colon" if has_colon else "expected `key: value` lines",
        do="begin with `name: my-model`",
        code="ST23",
    )


def _too_large(origin: Origin, size: int) -> ConfigError:
    return ConfigError(
        f"`{origin.name}` is {size / 1e6:.1f} MB large",
        why="a configuration has a few kilobytes, and more than 1 MB is not read",
        do="name the sageturner.yaml itself; a model or data goes under its key `artefact`",
        code="ST22",
    )


def _not_text(origin: Origin, content: bytes, error: UnicodeDecodeError) -> ConfigError:
    if content.startswith((b"\x1f\x8b", b"PK", b"\x80")):
        return ConfigError(
            f"`{origin.name}` is not a YAML file",
            why="it looks like an archive or a saved model",
            do=f"name the sageturner.yaml, and put `artefact: {origin.name}` in it",
            code="ST22",
        )
    line = content.count(b"\n", 0, error.start) + 1
    return ConfigError(
        f"`{origin.name}` is not text in UTF-8",
        why=f"the first byte that does not fit is in line {line}",
        do="save the file as UTF-8",
        code="ST22",
    )


def _is_a_directory(path: Path, folder: Path) -> ConfigError:
    found = _yaml_files(folder)
    inside = "sageturner.yaml" if "sageturner.yaml" in found or not found else found[0]
    return ConfigError(
        f"`{path}` is a directory",
        why="expected a YAML file" if found else "it holds no YAML file either",
        do=f"name `{path / inside}`" if found else "write a sageturner.yaml there with `init`",
        code="ST22",
    )


def _does_not_exist(path: Path, file: Path) -> ConfigError:
    found = _yaml_files(file.parent)
    near = difflib.get_close_matches(file.name, found, n=1) or found[:1]
    if near:
        return ConfigError(
            f"`{path}` does not exist",
            why=f"that folder has {', '.join(found[:5])}",
            do=f"did you mean `{path.with_name(near[0])}`?",
            code="ST22",
        )
    return ConfigError(
        f"`{path}` does not exist",
        do="write it with `init`, or name another file with `--config-path`",
        code="ST22",
    )


def _yaml_files(folder: Path) -> list[str]:
    try:
        return sorted(file.name for file in folder.iterdir() if file.suffix in {".yaml", ".yml"})
    except OSError:
        return []
