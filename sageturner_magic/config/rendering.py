"""Render the schema as a commented example and as a table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import yaml

from sageturner_magic.config.keys import all_keys, is_required, schema_at, schema_keys

_LIVE = {
    ("name",),
    ("compute", "serverless", "memory"),
    ("compute", "serverless", "max_concurrency"),
}
"""Keys that a first deployment uses; all others are commented out in the example."""

_WIDTH = 92

_HEADER = """\
# The configuration of one endpoint.
# To use a key that is commented out, remove its `#` and those of the sections it is in. The value
# beside it is the default, or an example where there is none. Paths are relative to this file.
"""


def commented_example() -> str:
    """A sageturner.yaml in which every key is explained, ready to deploy."""
    return "\n".join([_HEADER, *_example_lines(())])


def configuration_table() -> str:
    """Every key with its default and meaning, as a table in Markdown."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for path in all_keys():
        indent = "&nbsp;&nbsp;" * 2 * (len(path) - 1)
        meaning = schema_keys(path[:-1])[path[-1]].replace("|", "\\|")
        rows.append(f"| {indent}`{path[-1]}` | {_default_cell(path)} | {meaning} |")
    return "\n".join(rows) + "\n"


def _example_lines(path: tuple[str, ...]) -> Iterator[str]:
    indent = "  " * len(path)
    for key, description in schema_keys(path).items():
        inner = (*path, key)
        prose = f"{indent}# "
        yield from textwrap.wrap(
            description,
            _WIDTH,
            initial_indent=prose,
            subsequent_indent=prose,
            break_on_hyphens=False,
            break_long_words=False,
        )
        is_live = any(live[: len(inner)] == inner for live in _LIVE)
        hash_ = "" if is_live else "#"
        if schema_keys(inner):
            yield f"{indent}{hash_}{key}:"
            yield from _example_lines(inner)
        else:
            yield f"{indent}{hash_}{key}: {_flow(_example_value(inner))}"
        if not path:
            yield ""


def _example_value(path: tuple[str, ...]) -> Any:
    schema = schema_at(path) or {}
    return schema.get("default") or schema.get("examples", [schema.get("default")])[0]


def _default_cell(path: tuple[str, ...]) -> str:
    if schema_keys(path):
        return ""
    if is_required(path):
        return "required"
    default = (schema_at(path) or {}).get("default")
    return "" if default is None else f"`{_flow(default)}`"


def _flow(value: Any) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
