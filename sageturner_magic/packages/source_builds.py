"""Build wheels from local projects, source archives and Git repositories.

A wheel that is pure Python serves every target. One that is not was compiled for this
machine, not for the image, and is refused.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uv
from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from sageturner_magic.constants import CHUNK
from sageturner_magic.errors import ImageError
from sageturner_magic.packages.pip_arguments import PipArguments
from sageturner_magic.packages.programs import run
from sageturner_magic.packages.urls import without_credentials
from sageturner_magic.tarball import EPOCH
from sageturner_magic.values import Reporter

_GIT = re.compile(
    r"git\+(?P<url>[a-z+]+://(?:[^/@#]+@)?[^@#]+)(?:@(?P<revision>[^#]+))?(?:#(?P<rest>.*))?"
)


_NEEDED = {
    *("PATH", "LANG", "TMPDIR", "TZ"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("UV_CACHE_DIR", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "UV_OFFLINE", "UV_HTTP_TIMEOUT"),
}
_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}


@dataclass(frozen=True)
class SourceBuilder:
    """Makes wheels.

    Attributes:
        store: The folder that keeps the wheels, by digest.
        environment: For uv and git.
        reporter: Told what is being built.
    """

    store: Path
    environment: Mapping[str, str]
    reporter: Reporter

    def resolved(self, arguments: PipArguments) -> tuple[str, ...]:
        """The requirements of `arguments`, every path and repository as `name @ file://…`.

        Raises ImageError.
        """
        indexes = public_indexes(arguments)
        requirements = [
            self._requirement(requirement, arguments, indexes)
            for requirement in arguments.requirements
        ]
        for path in arguments.paths:
            wheel = self.wheel(path, arguments)
            requirements.append(f"{_parsed(wheel)[0]} @ {wheel.as_uri()}")
        return tuple(requirements)

    def wheel(self, path: Path, arguments: PipArguments) -> Path:
        """A wheel of a project or source archive, built with the indexes of `arguments`.

        A wheel is its own. Raises ImageError.
        """
        return path if path.suffix == ".whl" else self.build(path, public_indexes(arguments))

    def _requirement(self, text: str, arguments: PipArguments, indexes: tuple[str, ...]) -> str:
        if "://" not in text:
            return text
        named = Requirement(text) if " @ " in text else None
        url = str(named.url) if named else text
        if url.startswith("git+"):
            location = arguments.secrets.get(url)
            wheel = self._from_git(location.authenticated() if location else url, indexes)
            extras = f"[{','.join(sorted(named.extras))}]" if named and named.extras else ""
            marker = f" ; {named.marker}" if named and named.marker else ""
            return f"{_parsed(wheel)[0]}{extras} @ {wheel.as_uri()}{marker}"
        if named:
            return text
        file = Path(urlsplit(url).path)
        if file.suffix != ".whl":
            raise ImageError(
                f"{url} does not say which package it is", do=f"write `NAME @ {url}`", code="ST63"
            )
        return f"{_parsed(file)[0]} @ {url}"

    def build(self, source: Path, indexes: tuple[str, ...]) -> Path:
        """A wheel of a project folder or source archive, by uv's options `indexes`.

        Raises ImageError, also where the wheel is not pure Python.
        """
        self.store.mkdir(parents=True, exist_ok=True)
        self.reporter.log(f"building a wheel of {source}")
        with tempfile.TemporaryDirectory(dir=self.store) as work:
            done = run(
                [
                    *(uv.find_uv_bin(), "build", "--wheel", "--no-progress", "--color=never"),
                    *(f"--python={sys.executable}", f"--out-dir={work}/out", *indexes, str(source)),
                ],
                environment=self._without_secrets(work),
                folder=Path(work),
                reporter=self.reporter,
            )
            built = list(Path(work, "out").glob("*.whl"))
            if done.status or not built:
                raise ImageError(
                    f"{source.name} cannot be built into a wheel",
                    why=(done.errors.strip().splitlines() or ["the build made no wheel"])[-1],
                    do="see the build's output below, or name a ready-made wheel",
                    details=without_credentials(done.errors),
                    code="ST64",
                )
            name, pure = _parsed(built[0])
            if not pure:
                raise ImageError(
                    f"{source.name} has parts that are compiled",
                    why=f"{built[0].name} was built for this machine, not for the image",
                    do=f"build a wheel of {name} for the image's platform and name that wheel",
                    code="ST64",
                )
            kept = self.store / sha256(built[0]) / built[0].name
            kept.parent.mkdir(exist_ok=True)
            built[0].replace(kept)
        return kept

    def _without_secrets(self, home: str) -> dict[str, str]:
        """The environment in which a project's own code runs, with an empty home.

        What a build needs is let through, and nothing else.
        """
        needed = {
            name: value
            for name, value in self.environment.items()
            if name in _NEEDED
            or name.lower() in _PROXIES
            or name.startswith(("LC_", "SETUPTOOLS_SCM_"))
        }
        return {
            "UV_CACHE_DIR": str(Path("~/.cache/uv").expanduser()),
            **needed,
            "HOME": home,
            # The same source gives the same wheel.
            "SOURCE_DATE_EPOCH": str(EPOCH),
        }

    def _from_git(self, source: str, indexes: tuple[str, ...]) -> Path:
        shown = without_credentials(source)
        match = _GIT.fullmatch(source)
        if not match:
            raise ImageError(
                f"{shown} is not a Git URL",
                do="write `git+https://HOST/REPOSITORY@REVISION`",
                code="ST63",
            )
        rest = dict(part.partition("=")[::2] for part in (match["rest"] or "").split("&"))
        self.store.mkdir(parents=True, exist_ok=True)
        self.reporter.log(f"cloning {shown}")
        with tempfile.TemporaryDirectory(dir=self.store) as work:
            tree = Path(work, "tree")
            self._git("clone", "--quiet", "--", match["url"], str(tree), shown=shown)
            if match["revision"]:
                self._git("-C", str(tree), "checkout", "--quiet", match["revision"], shown=shown)
            return self.build(tree / rest.get("subdirectory", ""), indexes)

    def _git(self, *arguments: str, shown: str) -> None:
        try:
            done = run(
                ["git", *arguments],
                environment={**self.environment, "GIT_TERMINAL_PROMPT": "0"},
                folder=self.store,
                reporter=self.reporter,
            )
        except FileNotFoundError:
            raise ImageError(
                f"{shown} cannot be cloned", why="git is not installed", do="install git"
            ) from None
        if done.status:
            raise ImageError(
                f"{shown} cannot be cloned",
                why=without_credentials(done.errors.strip()),
                do="check the URL, the revision and your access to the repository",
                code="ST64",
            )


def public_indexes(arguments: PipArguments) -> tuple[str, ...]:
    """uv's options for the indexes that a build may use: those without credentials."""
    options = ["--index-strategy=unsafe-best-match"]
    if arguments.index and not arguments.index.credentials:
        options.append(f"--default-index={arguments.index.url}")
    for location in arguments.extra_indexes:
        if not location.credentials:
            options.append(f"--index={location.url}")
    for location in arguments.find_links:
        if not location.credentials:
            options.append(f"--find-links={location.url}")
    return tuple(options)


def _parsed(wheel: Path) -> tuple[str, bool]:
    """The name of a wheel's package and whether the wheel is pure Python."""
    try:
        name, _, _, tags = parse_wheel_filename(wheel.name)
    except InvalidWheelFilename as error:
        raise ImageError(
            f"{wheel.name} is not a wheel's name",
            why=str(error),
            do="give it its name back",
            code="ST65",
        ) from None
    return name, any(tag.abi == "none" and tag.platform == "any" for tag in tags)


def sha256(path: Path) -> str:
    """The SHA-256 (hex) of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
