"""Read the entries of `python_packages` as pip would read its command line.

- --extra-index-url https://example.org/whl/cpu transformers[torch]
- pillow
- numpy>=2
- tomli; python_version < "3.11"
- -r requirements.txt
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import InvalidRequirement, Requirement

from sageturner_magic.errors import Finding, ImageError
from sageturner_magic.packages.urls import Location, without_credentials
from sageturner_magic.values import Credentials


@dataclass(frozen=True)
class PipArguments:
    """What a pip command line asks for, with paths made absolute.

    Attributes:
        requirements: Requirements by name or URL (PEP 508), without credentials in URLs.
        paths: Local wheels, source archives and project folders.
        constraints: Requirements that only limit versions.
        hashes: Requirement -> the hashes (`sha256:…`) that a requirements file allows for it.
        index: Replaces the default index.
        extra_indexes: Looked at besides the index, with equal rank.
        find_links: Folders or pages with wheels.
        no_index: Look at no index at all.
        options: Further options that the resolver understands, in its own words.
        secrets: URL (without credentials) -> location, for requirements by URL.
    """

    requirements: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    constraints: tuple[str, ...] = ()
    hashes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    index: Location | None = None
    extra_indexes: tuple[Location, ...] = ()
    find_links: tuple[Location, ...] = ()
    no_index: bool = False
    options: tuple[str, ...] = ()
    secrets: Mapping[str, Location] = field(default_factory=dict, repr=False)

    @property
    def locations(self) -> tuple[Location, ...]:
        """Every index and folder of wheels."""
        return (*((self.index,) if self.index else ()), *self.extra_indexes, *self.find_links)

    @property
    def credentials(self) -> dict[str, Credentials]:
        """URL and host -> what to present there; a host's are those of its first index."""
        found: dict[str, Credentials] = {}
        for location in (*self.locations, *self.secrets.values()):
            if location.credentials:
                found.setdefault(location.url, location.credentials)
                found.setdefault(location.host, location.credentials)
        return found


# pip's options (`pip install --help`) by what becomes of them here.
_INDEX = {"-i", "--index-url", "--pypi-url"}
_EXTRA_INDEX = {"--extra-index-url"}
_FIND_LINKS = {"-f", "--find-links"}
_REQUIREMENTS = {"-r", "--requirement", "--requirements"}
_CONSTRAINTS = {"-c", "--constraint", "--constraints"}
_EDITABLE = {"-e", "--editable"}
_HASH = {"--hash"}
# pip's option -> uv's, with a value.
_PASSED_WITH_VALUE = {
    "--only-binary": "--only-binary",
    "--no-binary": "--no-binary",
    "--trusted-host": "--allow-insecure-host",
}
_PASSED = {"--pre": "--prerelease=allow", "--no-deps": "--no-deps"}
# They say how pip works or talks, not what is wanted.
_WITHOUT_EFFECT = {
    *("-U", "--upgrade", "-q", "--quiet", "-v", "--verbose", "-I", "--ignore-installed"),
    *("--force-reinstall", "--no-cache-dir", "--no-input", "--no-color", "--prefer-binary"),
    *("--disable-pip-version-check", "--compile", "--no-compile", "--use-pep517"),
    *("--no-warn-script-location", "--no-warn-conflicts", "--break-system-packages"),
    *("--no-clean", "--require-hashes", "--user"),
}
_WITHOUT_EFFECT_WITH_VALUE = {
    *("--progress-bar", "--root-user-action", "--upgrade-strategy", "--timeout", "--retries"),
    *("--default-timeout", "--exists-action", "--cache-dir", "--use-feature"),
}
_WITH_VALUE = (
    _INDEX | _EXTRA_INDEX | _FIND_LINKS | _REQUIREMENTS | _CONSTRAINTS | _EDITABLE | _HASH
    | _PASSED_WITH_VALUE.keys() | _WITHOUT_EFFECT_WITH_VALUE
)  # fmt: skip
_ALONE = _PASSED.keys() | _WITHOUT_EFFECT | {"--no-index"}

# A word of a command line: bare characters, escaped ones and quoted runs.
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""")
_QUOTED = re.compile(r"""\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'""")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tar.xz")


def parse_pip_arguments(
    entries: Iterable[str], folder: Path, key: str = "python_packages"
) -> PipArguments:
    """Read `entries`; relative paths are relative to `folder`.

    Files named by -r and -c are read too, and `${NAME}` is replaced from the environment as
    pip does in such files. Raises ImageError with a finding for each entry that is not
    understood, located as `key[index]` or by the file's line.
    """
    reader = _Reader()
    for number, entry in enumerate(entries):
        reader.read(entry, folder, f"{key}[{number}]")
    if reader.findings:
        raise ImageError.of(reader.findings)
    return reader.arguments


class _Reader:
    def __init__(self) -> None:
        self.arguments = PipArguments()
        self.findings: list[Finding] = []
        self._open: list[Path] = []
        self._constraining = 0
        self._last_of_line = ""

    def read(self, text: str, folder: Path, where: str) -> None:
        self._last_of_line = ""
        try:
            for option, value in _items(_expanded(text)):
                self._take(option, value, folder)
        except _Unreadable as error:
            shown = without_credentials(text)
            self.findings.append(
                Finding(
                    f"`{shown}` is not understood",
                    why=error.why,
                    do=error.do,
                    where=where,
                    code="ST63",
                )
            )

    def _add(self, **fields: object) -> None:
        added = {name: (*getattr(self.arguments, name), value) for name, value in fields.items()}
        self.arguments = replace(self.arguments, **added)  # type: ignore[arg-type]

    def _take(self, option: str, value: str, folder: Path) -> None:
        if not option or option in _EDITABLE:
            self._require(value, folder)
        elif option in _INDEX:
            self.arguments = replace(self.arguments, index=_location(value, folder))
        elif option in _EXTRA_INDEX:
            self._add(extra_indexes=_location(value, folder))
        elif option in _FIND_LINKS:
            self._add(find_links=_location(value, folder))
        elif option == "--no-index":
            self.arguments = replace(self.arguments, no_index=True)
        elif option in _REQUIREMENTS:
            self._read_file(value, folder)
        elif option in _CONSTRAINTS:
            self._constraining += 1
            self._read_file(value, folder)
            self._constraining -= 1
        elif option in _HASH:
            self._allow(value)
        elif option in _PASSED_WITH_VALUE:
            self._add(options=f"{_PASSED_WITH_VALUE[option]}={value}")
        elif option in _PASSED:
            self._add(options=_PASSED[option])

    def _require(self, value: str, folder: Path) -> None:
        if requirement := _requirement(value):
            if requirement.url and not _exists(requirement.url):
                raise _Unreadable(
                    f"{requirement.url} does not exist, as after `pip freeze` in conda",
                    f"write `{_pinned(requirement.name)}`",
                )
            if requirement.url:
                location = Location.parse(requirement.url)
                requirement.url = location.url
                self._keep_secret(location)
            self._last_of_line = _written(requirement)
            kind = "constraints" if self._constraining else "requirements"
            self._add(**{kind: self._last_of_line})
        elif urlsplit(value).scheme in ("http", "https") or value.startswith("git+"):
            location = Location.parse(value)
            self._keep_secret(location)
            self._add(requirements=location.url)
        else:
            path = folder / Path(value.removeprefix("file://")).expanduser()
            if not path.exists():
                raise _Unreadable(f"{path} does not exist", "correct the path")
            self._add(paths=path.resolve())

    def _keep_secret(self, location: Location) -> None:
        if location.credentials:
            secrets = {**self.arguments.secrets, location.url: location}
            self.arguments = replace(self.arguments, secrets=secrets)

    def _allow(self, value: str) -> None:
        last = self._last_of_line
        if not last:
            raise _Unreadable("--hash belongs to the requirement before it, and there is none")
        allowed = (*self.arguments.hashes.get(last, ()), value)
        self.arguments = replace(self.arguments, hashes={**self.arguments.hashes, last: allowed})

    def _read_file(self, name: str, folder: Path) -> None:
        path = (folder / Path(name).expanduser()).resolve()
        if path in self._open:
            raise _Unreadable(f"{path} includes itself")
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise _Unreadable(f"{path} cannot be read ({error})", "correct the path") from None
        self._open.append(path)
        for number, line in _lines(text):
            self.read(line, path.parent, f"{path}:{number}")
        self._open.pop()


def _exists(url: str) -> bool:
    """Whether a `file:` URL leads to something here; any other URL may."""
    parts = urlsplit(url)
    return parts.scheme != "file" or Path(url2pathname(parts.path)).exists()


def _pinned(name: str) -> str:
    try:
        return f"{name}=={version(name)}"
    except PackageNotFoundError:
        return f"{name}==VERSION"


class _Unreadable(Exception):
    def __init__(self, why: str, do: str = "write it as you would after `pip install`") -> None:
        self.why = why
        self.do = do


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The logical lines of a requirements file with the number each begins at."""
    start, joined = 1, ""
    for number, line in enumerate(text.splitlines(), 1):
        if not joined:
            start = number
        # As pip: a comment begins the line or follows white space.
        line = re.sub(r"(^|\s+)#.*$", "", line)
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        if whole := (joined + line).strip():
            yield start, whole
        joined = ""
    if joined.strip():
        yield start, joined.strip()


def _expanded(text: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise _Unreadable(
                f"the environment variable {name} is not set", f"set {name}, or write its value"
            )
        return os.environ[name]

    return _VARIABLE.sub(value, text)


def _items(text: str) -> Iterator[tuple[str, str]]:
    """(option, its value or "") and ("", requirement), in order."""
    words = _words(text)
    while words:
        if not _is_option(words[0]):
            taken, requirement = _leading_requirement(words)
            del words[:taken]
            yield "", requirement
            continue
        option, equals, value = _unquoted(words.pop(0)).partition("=")
        if not option.startswith("--") and len(option) > 2:
            # `-rrequirements.txt`; a cluster of letters such as `-qq` has no value.
            option, value, equals = option[:2], option[2:] + equals + value, "="
            if option in _ALONE and set(value) <= {option[1]}:
                value, equals = "", ""
        if option in _ALONE and not equals:
            yield option, ""
        elif option in _WITH_VALUE:
            if not equals:
                if not words:
                    raise _Unreadable(f"{option} has no value")
                value = _unquoted(words.pop(0))
            yield option, value
        else:
            raise _Unreadable(f"{option} is not an option of `pip install` that applies here")


def _words(text: str) -> list[str]:
    if _WORD.sub("", text).strip():
        raise _Unreadable("a quote is not closed", "close it")
    return _WORD.findall(text)


def _is_option(word: str) -> bool:
    return _unquoted(word).startswith("-")


def _unquoted(word: str) -> str:
    return _QUOTED.sub(
        lambda match: next(part for part in match.groups() if part is not None), word
    )


def _requirement(text: str) -> Requirement | None:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None
    # `digits-1.0.zip` could be a name by the letter, and never is.
    named_like_a_file = requirement.name.endswith(_ARCHIVES)
    return None if named_like_a_file and not requirement.url else requirement


def _written(requirement: Requirement) -> str:
    text = str(requirement)
    if not requirement.url:
        return text
    name, url = text.split("@", 1)  # packaging below 26 writes `name@ URL`.
    return f"{name.rstrip()} @ {url.lstrip()}"


def _leading_requirement(words: list[str]) -> tuple[int, str]:
    """How many words the first requirement takes, and that requirement.

    `numpy >= 2` and `tomli; python_version < "3.11"` are one each although no shell would
    keep them together, so the longest run of words that is a requirement is taken.
    """
    end = next((n for n, word in enumerate(words) if _is_option(word)), len(words))
    for taken in range(end, 1, -1):
        run = " ".join(words[:taken])
        if _requirement(run):
            return taken, run
    word = _unquoted(words[0])
    if _requirement(word) or "/" in word or word.endswith(_ARCHIVES) or word in (".", ".."):
        return 1, word
    raise _Unreadable(
        f"`{without_credentials(word)}` is not a requirement",
        "write a name with an optional version, such as `numpy>=2`, a URL or a path",
    )


def _location(value: str, folder: Path) -> Location:
    if urlsplit(value).scheme in ("http", "https", "file"):
        return Location.parse(value)
    path = (folder / Path(value).expanduser()).resolve()
    if not path.exists():
        raise _Unreadable(f"{path} does not exist", "correct the path or the URL")
    return Location(path.as_uri())
