"""Find the environment variables that a notebook's cells set, and no other process has.

A model's process, here or in a container, gets the environment that the kernel was started with,
or less. What cells added since (`os.environ[…] = …`, `%env`, load_dotenv()) exists in the kernel.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from sageturner_magic.capture.cells import Cell
from sageturner_magic.capture.secrets import is_secret, keep_out, known_secret, masked
from sageturner_magic.errors import Finding

_SYSTEM = Path("/proc/self/environ")
"""What Linux gave this process when it started; `os.environ` is a copy that cells change."""


def environment_at_start(known: Mapping[str, str]) -> Mapping[str, str]:
    """The environment that this process was started with; `known` where the system has no record.

    Args:
        known: The earliest copy of `os.environ` that there is.
    """
    try:
        data = _SYSTEM.read_bytes()
    except OSError:
        return known
    # A program that renames its process writes over the beginning of this memory.
    if not re.match(rb"\w+=", data):
        return known
    pairs = (entry.partition(b"=") for entry in data.split(b"\0") if b"=" in entry)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


_HARMLESS = re.compile(r"[\d.]*|.{0,5}|[.~]{0,2}/.*")
"""Numbers, flags and paths, whatever the variable is called (`MAX_TOKEN: 512`)."""


def lost_variables(
    cells: Iterable[Cell], source: str, at_start: Mapping[str, str], given: Iterable[str]
) -> list[Finding]:
    """What cells set in the environment and the deployed code will not have.

    Variables that a library sets when it is imported are left out: it sets them there too.

    Args:
        cells: Every cell that ran.
        source: The module's text; what it sets itself is not lost.
        at_start: As `environment_at_start` returns it.
        given: Names that the configuration gives the endpoint.
    """
    changed = {
        name: value
        for name, value in os.environ.items()
        if at_start.get(name) != value and name not in given and not _sets(source, name)
    }
    if not changed:
        return []
    ran = list(cells)
    found: dict[bool, dict[str, str]] = {True: {}, False: {}}
    for name, value in changed.items():
        cell = next((each for each in reversed(ran) if _names(each.source, name)), None)
        if cell is not None or _names(source, name):
            found[_names(source, name)][name] = value
    return [
        _finding(variables, ran, is_read=is_read)
        for is_read, variables in found.items()
        if variables
    ]


def shown_secrets(
    environment: Mapping[str, str],
    tags: Mapping[str, str],
    secrets: Mapping[str, str],
    allowed: Collection[str],
) -> Iterator[Finding]:
    """What looks like a secret in the configuration, where AWS or its readers show it.

    Args:
        secrets: Variable -> reference, which is no value.
        allowed: Keys of `not_secret`.
    """
    shows = (
        ("environment", environment, "SageMaker shows it to whoever may describe the model"),
        ("tags", tags, "AWS shows tags to whoever may list them"),
    )
    for section, values, why in shows:
        for name, value in values.items():
            if name in allowed or not is_secret(name, value) or _HARMLESS.fullmatch(value):
                continue
            yield Finding(
                f"`{section}` gives `{name}` what looks like a secret: `{masked(value)}`",
                where=f"{section}.{name}",
                why=why,
                do=f"remove it from `{section}`, then {keep_out(_variable(name))}; or write "
                f"`not_secret: [{name}]` in the YAML if it is none",
                code="ST42",
            )
    for name, reference in secrets.items():
        if what := known_secret(reference):
            yield Finding(
                f"`secrets` gives `{name}` {what} itself: `{masked(reference)}`",
                where=f"secrets.{name}",
                why="the YAML is kept with the code, and AWS shows the reference",
                do=keep_out(name),
                code="ST42",
            )


def _variable(key: str) -> str:
    return re.sub(r"\W", "_", key)


def _names(text: str, name: str) -> bool:
    return name in text and re.search(rf"\b{re.escape(name)}\b", text) is not None


def _sets(source: str, name: str) -> bool:
    if name not in source:
        return False
    quoted = rf"['\"]{re.escape(name)}['\"]"
    return re.search(rf"environ(?:\[{quoted}\]\s*=[^=]|\.setdefault\({quoted})", source) is not None


_SETTING = re.compile(r"env.*[=%(]|%(?:set_)?env\b", re.IGNORECASE)
"""Of a line that sets a variable of the environment, or reads one by a call."""


def _sets_one_of(source: str, names: Iterable[str]) -> bool:
    reads = re.compile(r"environ\.get\(|getenv\(")
    lines = [line for line in source.splitlines() if _SETTING.search(line)]
    return any(_names(line, name) and not reads.search(line) for line in lines for name in names)


def _finding(variables: Mapping[str, str], cells: Sequence[Cell], *, is_read: bool) -> Finding:
    import yaml

    numbers = {cell.number for cell in cells if _sets_one_of(cell.source, variables)}
    shown = {name: value for name, value in variables.items() if not is_secret(name, value)}
    hidden = ", ".join(f"`{name}`" for name in variables if name not in shown)
    lines = yaml.safe_dump({"environment": shown}, default_flow_style=None, width=10_000).strip()
    remedies = [f"add `{lines}` to the YAML"] if shown else []
    if hidden:
        references = ", ".join(f"{name}: {name}" for name in variables if name not in shown)
        remedies.append(f"add `secrets: {{{references}}}` to the YAML for {hidden}")
    return Finding(
        f"The deployed code will not have environment variables that this notebook set:"
        f" {', '.join(f'`{name}`' for name in variables)}",
        where=", ".join(f"In[{number}]" for number in sorted(numbers)),
        why="the code reads them" if is_read else "libraries may read them",
        do=", and ".join(remedies),
        severity="warning" if is_read else "note",
        code="ST25",
    )
