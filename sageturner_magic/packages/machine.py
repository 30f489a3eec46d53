"""Read this machine's settings for package indexes: pip's configuration, uv's environment."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sageturner_magic.packages.pip_arguments import PipArguments, parse_pip_arguments
from sageturner_magic.packages.urls import Location
from sageturner_magic.values import Credentials


def pip_configuration() -> dict[str, str]:
    """pip's settings on this machine, by name without section (`index-url`).

    As pip has it, the environment wins over `[install]`, and that over `[global]`. Empty where
    there is no pip or its configuration cannot be read.
    """
    command = [sys.executable, "-m", "pip"]
    listed = _listed(command)
    if listed is None and (pip := shutil.which("pip")):
        listed = _listed([pip])
    found: dict[str, tuple[int, str]] = {}
    for line in (listed or "").splitlines():
        name, equals, value = line.partition("=")
        section, _, key = name.rpartition(".")
        rank = ("global", "install", ":env:").index(section) if section in (
            "global", "install", ":env:"
        ) else -1  # fmt: skip
        if not equals or rank < 0 or rank < found.get(key, (0, ""))[0]:
            continue
        found[key] = (rank, str(ast.literal_eval(value)))
    return {key: value for key, (_, value) in found.items()}


_READ = re.compile(r"For variant '\w+', will try loading '(.+)'")
_kept: dict[object, tuple[str, list[object]]] = {}
"""What pip listed last, by command and environment, with the state of the files that it reads."""


def _listed(pip: list[str]) -> str | None:
    """What `pip config list` prints; pip runs again only if a file or variable has changed."""
    given = (tuple(pip), frozenset(os.environ.items()))
    listed, states = _kept.get(given, ("", []))
    if states and states == _states(listed):
        return listed
    try:
        done = subprocess.run(
            [*pip, "config", "list", "-v"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    _kept.clear()
    _kept[given] = (done.stdout, _states(done.stdout))
    return done.stdout


def _states(listed: str) -> list[object]:
    """The state of each file that pip looked for: when it changed and its size, None without it."""
    found: list[object] = []
    for path in _READ.findall(listed):
        try:
            state = Path(path).stat()
            found.append((state.st_mtime_ns, state.st_size))
        except OSError:
            found.append(None)
    return found


def with_machine_settings(
    arguments: PipArguments, settings: Mapping[str, str], environment: Mapping[str, str]
) -> PipArguments:
    """`arguments` with what the machine adds; what the arguments say themselves comes first.

    `settings` are `pip_configuration()`; of the environment, uv's own variables are read.
    """
    index = arguments.index
    for url in (
        environment.get("UV_DEFAULT_INDEX"),
        environment.get("UV_INDEX_URL"),
        settings.get("index-url"),
    ):
        if index is None and url:
            index = _index(url, environment)
    extra = [
        *environment.get("UV_INDEX", "").split(),
        *environment.get("UV_EXTRA_INDEX_URL", "").split(),
        *settings.get("extra-index-url", "").split(),
    ]
    pages = [
        *environment.get("UV_FIND_LINKS", "").replace(",", " ").split(),
        *settings.get("find-links", "").split(),
    ]
    found = replace(
        arguments,
        index=index,
        extra_indexes=(*arguments.extra_indexes, *(_index(url, environment) for url in extra)),
        find_links=(*arguments.find_links, *map(_page, pages)),
        options=(
            *arguments.options,
            *(f"--allow-insecure-host={host}" for host in settings.get("trusted-host", "").split()),
        ),
    )
    for name in settings.get("constraint", "").split():
        limits = parse_pip_arguments([f"-c {name}"], Path.cwd(), "pip's configuration, constraint")
        found = replace(found, constraints=(*found.constraints, *limits.constraints))
    return found


def _index(text: str, environment: Mapping[str, str]) -> Location:
    """An index as pip or uv writes it: a URL, or uv's `name=URL` with credentials elsewhere."""
    name, equals, url = text.partition("=")
    if not equals or "/" in name:
        return Location.parse(text)
    location = Location.parse(url)
    variable = f"UV_INDEX_{name.upper().replace('-', '_').replace('.', '_')}"
    user = environment.get(f"{variable}_USERNAME")
    password = environment.get(f"{variable}_PASSWORD")
    if user or password:
        return Location(location.url, Credentials(user or "", password or ""))
    return location


def _page(text: str) -> Location:
    path = Path(text).expanduser()
    return Location(path.resolve().as_uri()) if path.exists() else Location.parse(text)


def resolver_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment for uv: this process's, without the secrets that builds could read.

    A source distribution may run code of its own, so AWS credentials are left out; uv's own
    index variables are left out because `with_machine_settings` has read them.
    """
    read = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "PIP_", "PYTHON", *read))
    }
    environment.setdefault("UV_SYSTEM_CERTS", "true")
    if "cert" in settings:
        environment.setdefault("SSL_CERT_FILE", settings["cert"])
    if "proxy" in settings:
        environment.setdefault("ALL_PROXY", settings["proxy"])
    return environment
