"""Read uv's output into packages."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sageturner_magic.errors import ImageError
from sageturner_magic.packages.pip_arguments import PipArguments
from sageturner_magic.packages.requirements import Package, Requirements, Target
from sageturner_magic.packages.urls import (
    Location,
    netrc_credentials,
    without_credentials,
)
from sageturner_magic.values import Credentials

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_answer(lock: str, notes: str, arguments: PipArguments, target: Target) -> Requirements:
    """The packages of uv's answer to `arguments`.

    Args:
        lock: A pylock.toml (PEP 751): which file of which version.
        notes: A requirements.txt with `--emit-index-annotation`: which index offered a package,
            and who needs it; the lock says neither.
        arguments: What was asked.
        target: For what.

    Raises ImageError where a file is not one that the user's hashes allow.
    """
    guarded = arguments.credentials
    noted = _notes(notes)
    packages = []
    for entry in tomllib.loads(lock).get("packages", ()):
        name = canonicalize_name(entry["name"])
        note = noted.get(name, _Note("", (), False))
        file = entry["wheels"][0] if "wheels" in entry else entry.get("sdist", entry.get("archive"))
        url = without_credentials(file["url"]) if "url" in file else Path(file["path"]).as_uri()
        packages.append(
            Package(
                name=name,
                version=entry.get("version") or _version_of(url),
                url=url,
                sha256=file["hashes"]["sha256"],
                index=note.index,
                public=_is_public(note.index, guarded) and _is_public(url, guarded),
                needed_by=note.needed_by,
                direct=note.direct,
                size=file.get("size", 0),
            )
        )
    _check_hashes(packages, arguments.hashes)
    return Requirements(
        target=target,
        packages=tuple(sorted(packages, key=lambda package: package.name)),
        index=_public_url(arguments.index, guarded),
        extra_indexes=tuple(
            dict.fromkeys(
                url for each in arguments.extra_indexes if (url := _public_url(each, guarded))
            )
        ),
        trusted_hosts=tuple(
            option.partition("=")[2]
            for option in dict.fromkeys(arguments.options)
            if option.startswith("--allow-insecure-host=")
        ),
    )


@dataclass(frozen=True)
class _Note:
    index: str
    needed_by: tuple[str, ...]
    direct: bool


def _notes(text: str) -> dict[str, _Note]:
    """What the comments below each line of uv's requirements.txt say about it."""
    notes: dict[str, _Note] = {}
    name, index, via = "", "", list[str]()

    def keep() -> None:
        if name:
            notes[name] = _Note(
                without_credentials(index),
                tuple(by for by in via if not by.startswith("-")),
                any(by.startswith("-r") for by in via),
            )

    for line in text.splitlines():
        comment = line.strip().removeprefix("#").strip()
        if not line.startswith(" "):
            keep()
            name = canonicalize_name(re.split(r"[ =@\[;]", line, maxsplit=1)[0])
            index, via = "", []
        elif comment.startswith("from "):
            index = comment.removeprefix("from ")
        elif by := comment.removeprefix("via").strip():
            via.append(by)
    keep()
    return notes


def _version_of(url: str) -> str:
    parts = unquote(urlsplit(url).path).rpartition("/")[2].split("-")
    return parts[1] if len(parts) > 1 else ""


def _is_public(url: str, guarded: Mapping[str, Credentials]) -> bool:
    """Whether a build in a container could fetch from here without credentials."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    return (
        parts.scheme in ("http", "https")
        and host not in ("localhost", "127.0.0.1", "::1")
        and url not in guarded
        and host not in guarded
        and netrc_credentials(host) is None
    )


def _public_url(location: Location | None, guarded: Mapping[str, Credentials]) -> str:
    return location.url if location and _is_public(location.url, guarded) else ""


def _check_hashes(packages: Iterable[Package], hashes: Mapping[str, tuple[str, ...]]) -> None:
    allowed: dict[str, tuple[str, ...]] = {
        canonicalize_name(Requirement(requirement).name): values
        for requirement, values in hashes.items()
    }
    for package in packages:
        expected = allowed.get(package.name, ())
        if any(value.startswith("sha256:") for value in expected) and (
            f"sha256:{package.sha256}" not in expected
        ):
            raise ImageError(
                f"the file of {package.name} {package.version} is not one that --hash allows",
                why=f"the index offers {package.file} with sha256:{package.sha256}",
                do="add that hash if the file is the one you mean, or correct the version",
                code="ST61",
            )
