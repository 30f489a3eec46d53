"""One resolution for every builder: exact versions and files for the image's Python.

uv resolves for the target's platform, not for this machine's, with pip's meaning of extra
indexes. The answer names one file and its SHA-256 for each package, so that every builder
installs the same bytes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import platformdirs
import uv
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sageturner_magic.errors import ImageError
from sageturner_magic.image import machine
from sageturner_magic.image.http import status_of
from sageturner_magic.image.pip_arguments import PipArguments
from sageturner_magic.image.processes import run
from sageturner_magic.image.resolution_errors import explain, missing_package
from sageturner_magic.image.source_builds import SourceBuilder, sha256
from sageturner_magic.image.urls import (
    Credentials,
    Location,
    netrc_credentials,
    without_credentials,
)
from sageturner_magic.values import Reporter

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Architecture = Literal["amd64", "arm64"]

MAX_AGE = 7 * 24 * 3600
"""Seconds for which a resolution of the same inputs is used again.

Long enough that redeploying an unchanged notebook changes nothing and asks no index; short
enough that unpinned packages do not grow old unseen.
"""


SERVER_PACKAGES = ("fastapi", "httptools", "orjson", "uvloop")
"""What the model server in an image imports; their bounds stand in this package's metadata."""

_MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True)
class Target:
    """What the packages have to run on.

    Attributes:
        python_version: Major and minor (`3.12`).
        architecture: The image's.
        glibc: The base image's C library; Debian 12's, the oldest under the default base images,
            unless said otherwise.
    """

    python_version: str
    architecture: Architecture = "amd64"
    glibc: tuple[int, int] = (2, 36)

    @property
    def platform(self) -> str:
        """Docker's name for it: `linux/amd64`."""
        return f"linux/{self.architecture}"

    @property
    def uv_platform(self) -> str:
        """uv's name for it: `x86_64-manylinux_2_36`."""
        return f"{_MACHINE[self.architecture]}-manylinux_{self.glibc[0]}_{self.glibc[1]}"


@dataclass(frozen=True)
class Package:
    """One package at one version, as one file.

    Attributes:
        name: In normal form (`scikit-learn`).
        version: The exact version, with its local part (`2.13.0+cpu`).
        url: Where the file is, without credentials.
        sha256: Of the file, in hex.
        index: The index or folder that offered it, without credentials; empty for a file that
            was asked for by URL or path.
        public: Whether a build on another machine can fetch it from an index without
            credentials. The others are fetched here and handed over as files.
        needed_by: The packages that require it; empty if only the user does.
        direct: Whether the user asked for it.
        size: Bytes of the file; 0 where its index does not say.
    """

    name: str
    version: str
    url: str
    sha256: str
    index: str
    public: bool
    needed_by: tuple[str, ...] = ()
    direct: bool = False
    size: int = 0

    @property
    def file(self) -> str:
        """The file's name."""
        return unquote(urlsplit(self.url).path).rpartition("/")[2]

    @property
    def is_wheel(self) -> bool:
        """Whether the file is a wheel and not a source distribution."""
        return self.file.endswith(".whl")


@dataclass(frozen=True)
class Requirements:
    """All packages of an image, exactly.

    Attributes:
        target: What they were resolved for.
        packages: Sorted by name.
        index: The index that a build uses in place of its default, or empty.
        extra_indexes: Further public ones.
        trusted_hosts: Hosts whose certificates are not checked, because the user said so.
        credentials: Index or host -> what to present there when a file is fetched.
    """

    target: Target
    packages: tuple[Package, ...]
    index: str = ""
    extra_indexes: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    credentials: Mapping[str, Credentials] = field(default_factory=dict, repr=False, compare=False)

    @property
    def handed_over(self) -> tuple[Package, ...]:
        """The packages whose files are fetched on this machine and given to a build."""
        return tuple(package for package in self.packages if not package.public)

    def text(self) -> str:
        """A requirements.txt with hashes; files that are handed over lie in `wheels/`."""
        lines = []
        if any(package.public for package in self.packages):
            lines += [f"--index-url {self.index}"] if self.index else []
            lines += [f"--extra-index-url {url}" for url in self.extra_indexes]
            lines += [f"--trusted-host {host}" for host in self.trusted_hosts]
        elif self.packages:
            lines.append("--no-index")
        if self.handed_over:
            lines.append("--find-links wheels")
        lines += [
            f"{package.name}=={package.version} --hash=sha256:{package.sha256}"
            for package in self.packages
        ]
        return "".join(f"{line}\n" for line in lines)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the target and `text()`."""
        return hashlib.sha256(f"{self.target}\n{self.text()}".encode()).hexdigest()


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
    return replace(found, credentials=_credentials(arguments))


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
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
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

        lock = tomllib.loads(compile_to("pylock.toml"))
        # The lock does not say which index offered a package, nor who needs it.
        notes = _notes(compile_to("notes.txt", "--emit-index-annotation"))
    return _requirements(lock, notes, arguments, target)


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


def _requirements(
    lock: Mapping[str, Any], notes: Mapping[str, _Note], arguments: PipArguments, target: Target
) -> Requirements:
    guarded = _credentials(arguments)
    packages = []
    for entry in lock.get("packages", ()):
        name = canonicalize_name(entry["name"])
        note = notes.get(name, _Note("", (), False))
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


def _version_of(url: str) -> str:
    parts = unquote(urlsplit(url).path).rpartition("/")[2].split("-")
    return parts[1] if len(parts) > 1 else ""


def _is_local(url: str) -> bool:
    return urlsplit(url).scheme == "file"


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


def _credentials(arguments: PipArguments) -> dict[str, Credentials]:
    """Index URL and host -> credentials; a host's are those of its first index."""
    found: dict[str, Credentials] = {}
    for location in (*arguments.locations, *arguments.secrets.values()):
        if location.credentials:
            found.setdefault(location.url, location.credentials)
            found.setdefault(location.host, location.credentials)
    return found


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
            )
