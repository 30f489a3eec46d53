"""Resolve packages to exact versions with uv, and remember the result.

uv resolves for the target's platform, not for this machine's, with pip's meaning of extra
indexes. The answer names one file and its SHA-256 for each package, so that every builder
installs the same bytes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import platformdirs
import uv
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sageturner_magic.errors import ImageError
from sageturner_magic.packages import machine
from sageturner_magic.packages.connections import status_of
from sageturner_magic.packages.pip_arguments import PipArguments
from sageturner_magic.packages.programs import run
from sageturner_magic.packages.requirements import Package, Requirements, Target
from sageturner_magic.packages.source_builds import SourceBuilder, sha256
from sageturner_magic.packages.uv_answer import read_answer
from sageturner_magic.packages.uv_errors import explain, missing_package
from sageturner_magic.scratch import scratch_folder
from sageturner_magic.values import Reporter

MAX_AGE = 7 * 24 * 3600
"""Seconds for which a resolution of the same inputs is used again.

Long enough that redeploying an unchanged notebook changes nothing and asks no index; short
enough that unpinned packages do not grow old unseen.
"""

SERVER_PACKAGES = ("httptools", "orjson", "uvloop")
"""What the model server in an image imports; their bounds stand in this package's metadata."""


def server_arguments() -> PipArguments:
    """What the model server needs, within the bounds of this package's own metadata."""
    declared = map(Requirement, importlib.metadata.requires("sageturner-magic") or ())
    return PipArguments(
        requirements=tuple(
            f"{needed.name}{needed.specifier}"
            for needed in declared
            if canonicalize_name(needed.name) in SERVER_PACKAGES
        )
    )


def resolve(
    arguments: PipArguments,
    target: Target,
    reporter: Reporter,
    cache: Path | None = None,
) -> Requirements:
    """Resolve `arguments` for `target`, or give the answer of at most `MAX_AGE` seconds ago.

    What this machine's pip and uv are configured to use is used too. Local projects and
    repositories are built into wheels first. `cache` is a folder; by default the user's.
    Raises ImageError when there is no answer, with the reason and the remedy.
    """
    folder = cache or platformdirs.user_cache_path("sageturner-magic") / "requirements"
    folder.mkdir(parents=True, exist_ok=True)
    settings = machine.pip_configuration()
    arguments = machine.with_machine_settings(arguments, settings, os.environ)
    environment = machine.resolver_environment(settings)
    sources = SourceBuilder(folder / "wheels", environment, reporter)
    arguments = replace(arguments, requirements=sources.resolved(arguments), paths=())
    if not arguments.requirements:
        return Requirements(target, ())
    answer = folder / f"{_identity(arguments, target)}.json"
    found = _remembered(answer)
    if found is None:
        found = _ask(arguments, target, environment, reporter)
        _remember(answer, found)
    return replace(found, credentials=arguments.credentials)


def _identity(arguments: PipArguments, target: Target) -> str:
    """The digest of everything that the answer depends on, apart from time."""
    configuration = [
        path.read_text(errors="replace")
        for path in (
            Path(os.environ.get("UV_CONFIG_FILE", "/etc/uv/uv.toml")),
            platformdirs.user_config_path("uv") / "uv.toml",
        )
        if path.is_file()
    ]
    inputs = (
        sorted(set(arguments.requirements)),
        sorted(set(arguments.constraints)),
        sorted((name, *allowed) for name, allowed in arguments.hashes.items()),
        [location.url for location in arguments.locations],
        [arguments.no_index, bool(arguments.index)],
        sorted(set(arguments.options)),
        [sha256(path) for path in _named_files(arguments.requirements)],
        configuration,
        [target.python_version, target.uv_platform],
        1,
    )
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()


def _named_files(requirements: Iterable[str]) -> list[Path]:
    urls = (each.partition(" @ ")[2].partition(" ; ")[0] for each in requirements)
    return [_local_path(url) for url in urls if _is_local(url)]


def _local_path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def _is_local(url: str) -> bool:
    return urlsplit(url).scheme == "file"


def _remembered(answer: Path) -> Requirements | None:
    try:
        if time.time() - answer.stat().st_mtime > MAX_AGE:
            return None
        read: dict[str, Any] = json.loads(answer.read_text())
        packages = tuple(
            Package(**{**each, "needed_by": tuple(each["needed_by"])}) for each in read["packages"]
        )
        target = Target(**{**read["target"], "glibc": tuple(read["target"]["glibc"])})
        found = Requirements(
            target,
            packages,
            read["index"],
            tuple(read["extra_indexes"]),
            tuple(read["trusted_hosts"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        # What is not there or was half written is asked for again.
        return None
    local = (_local_path(each.url) for each in packages if _is_local(each.url))
    return found if all(path.exists() for path in local) else None


def _remember(answer: Path, found: Requirements) -> None:
    stored = {
        "target": asdict(found.target),
        "packages": [asdict(package) for package in found.packages],
        "index": found.index,
        "extra_indexes": found.extra_indexes,
        "trusted_hosts": found.trusted_hosts,
    }
    with tempfile.NamedTemporaryFile("w", dir=answer.parent, delete=False) as file:
        json.dump(stored, file)
    Path(file.name).replace(answer)


def _ask(
    arguments: PipArguments, target: Target, environment: Mapping[str, str], reporter: Reporter
) -> Requirements:
    with scratch_folder() as folder:
        # A file that only this user can read, because URLs in it may hold credentials.
        asked = folder / "requirements.in"
        asked.touch(mode=0o600)
        asked.write_text(_input(arguments))
        (folder / "constraints.in").write_text("\n".join(arguments.constraints) + "\n")
        command = [
            *(uv.find_uv_bin(), "pip", "compile", asked.name, "--no-header", "--no-progress"),
            *("--color=never", f"--python={sys.executable}", "--constraints=constraints.in"),
            *("--index-strategy=unsafe-best-match", f"--python-version={target.python_version}"),
            f"--python-platform={target.uv_platform}",
            *sorted(set(arguments.options)),
        ]

        def compile_to(name: str, *options: str) -> str:
            reporter.log(
                f"resolving packages for Python {target.python_version}, {target.platform}"
            )
            done = run(
                [*command, *options, f"--output-file={name}", "--quiet"],
                environment=environment,
                folder=folder,
                reporter=reporter,
            )
            if done.status:
                raise ImageError.of([explain(done.errors, _refusing(arguments, done.errors))])
            return (folder / name).read_text()

        lock = compile_to("pylock.toml")
        notes = compile_to("notes.txt", "--emit-index-annotation")
    return read_answer(lock, notes, arguments, target)


def _refusing(arguments: PipArguments, errors: str) -> list[str]:
    """The indexes that answer 401 or 403 for the package that was not found."""
    name = missing_package(errors)
    indexes = arguments.locations if name else ()
    return [
        location.url
        for location in indexes
        if location.url.startswith("http")
        and status_of(f"{location.url.rstrip('/')}/{name}/", location.credentials) in (401, 403)
    ]


def _input(arguments: PipArguments) -> str:
    lines = []
    if arguments.no_index:
        lines.append("--no-index")
    if arguments.index:
        lines.append(f"--index-url {arguments.index.authenticated()}")
    lines += [f"--extra-index-url {each.authenticated()}" for each in arguments.extra_indexes]
    lines += [f"--find-links {each.authenticated()}" for each in arguments.find_links]
    for requirement in dict.fromkeys(arguments.requirements):
        text = requirement
        for url, location in arguments.secrets.items():
            text = text.replace(url, location.authenticated())
        lines.append(text)
    return "".join(f"{line}\n" for line in lines)
