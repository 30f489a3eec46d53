"""Fetch package files once, and keep them by digest."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import platformdirs
import urllib3

from sageturner_magic.constants import CHUNK
from sageturner_magic.errors import ImageError
from sageturner_magic.packages.connections import (
    TIMEOUT,
    USER_AGENT,
    authorization,
    open_connections,
)
from sageturner_magic.packages.requirements import Package
from sageturner_magic.packages.urls import Location, netrc_credentials
from sageturner_magic.values import Credentials, Reporter

_RETRIES = urllib3.Retry(
    total=5, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), redirect=10
)


def default_folder() -> Path:
    """Where files are kept unless said otherwise."""
    return platformdirs.user_cache_path("sageturner-magic") / "files"


@dataclass(frozen=True)
class FileStore:
    """Wheels and source distributions on this machine, each in a folder named by its digest.

    Attributes:
        folder: It and what is in it may be removed at any time.
    """

    folder: Path

    def fetch(
        self, package: Package, credentials: Mapping[str, Credentials], reporter: Reporter
    ) -> Path:
        """The file of `package`, downloaded if need be and checked against its digest.

        A file on this machine is used where it lies. Raises ImageError.
        """
        if urlsplit(package.url).scheme == "file":
            return self._checked(package)
        kept = self.folder / package.sha256 / package.file
        if kept.exists():
            return kept
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as file:
            part = Path(file.name)
            try:
                digest = hashlib.sha256()
                for chunk in _download(package, credentials, reporter):
                    digest.update(chunk)
                    file.write(chunk)
                _compare(package, digest.hexdigest())
            except BaseException:
                part.unlink()
                raise
        part.replace(kept)
        return kept

    def size(
        self, package: Package, credentials: Mapping[str, Credentials], reporter: Reporter
    ) -> int:
        """Bytes of the file of `package`, which is fetched if that was never known.

        Raises ImageError.
        """
        if known := self.known_size(package):
            return known
        size = self.fetch(package, credentials, reporter).stat().st_size
        noted = self.folder / "sizes" / package.sha256
        noted.parent.mkdir(parents=True, exist_ok=True)
        noted.write_text(str(size))
        return size

    def known_size(self, package: Package) -> int:
        """The same without fetching anything; 0 where it is not known."""
        if package.size:
            return package.size
        with contextlib.suppress(OSError, ValueError):
            if urlsplit(package.url).scheme == "file":
                return Path(unquote(urlsplit(package.url).path)).stat().st_size
            return int((self.folder / "sizes" / package.sha256).read_text())
        return 0

    def has(self, package: Package) -> bool:
        """Whether the file of `package` is on this machine."""
        is_local = urlsplit(package.url).scheme == "file"
        return is_local or (self.folder / package.sha256 / package.file).exists()

    def _checked(self, package: Package) -> Path:
        path = Path(unquote(urlsplit(package.url).path))
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
        except OSError as error:
            raise ImageError(
                f"{path} cannot be read",
                why=str(error),
                do="restore it, or resolve again",
                code="ST65",
            ) from None
        _compare(package, digest.hexdigest())
        return path

    def clear(self) -> None:
        """Remove everything."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)


def _compare(package: Package, digest: str) -> None:
    if digest != package.sha256:
        raise ImageError(
            f"{package.file} is not the file that was resolved",
            why=f"its SHA-256 is {digest}, the index said {package.sha256}",
            do="resolve again; if it stays so, the index or a proxy on the way changes files",
            code="ST65",
        )


def _download(
    package: Package, credentials: Mapping[str, Credentials], reporter: Reporter
) -> Iterator[bytes]:
    host = (urlsplit(package.url).hostname or "").lower()
    account = credentials.get(host) or netrc_credentials(host)
    # An index's own credentials go to its own host only.
    if package.index in credentials and Location(package.index).host == host:
        account = credentials[package.index]
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **authorization(account)}
    try:
        answer = open_connections(package.url).request(
            "GET",
            package.url,
            headers=headers,
            timeout=TIMEOUT,
            retries=_RETRIES,
            preload_content=False,
        )
        with contextlib.closing(answer):
            if answer.status != 200:
                raise ImageError(
                    f"{package.file} cannot be fetched",
                    why=f"{host} answers {answer.status}",
                    do="check the index's credentials"
                    if answer.status in (401, 403)
                    else "run it again; if it stays so, resolve again",
                    code="ST65",
                )
            length = answer.headers.get("Content-Length")
            done = 0
            for chunk in answer.stream(CHUNK):
                reporter.checkpoint()
                done += len(chunk)
                reporter.progress(done, int(length) if length else None, "B", package.file)
                yield chunk
    except urllib3.exceptions.HTTPError as error:
        raise ImageError(
            f"{package.file} cannot be fetched",
            why=f"{host} does not answer ({type(error).__name__})",
            do="check the network and the proxy (HTTPS_PROXY), then run it again",
            code="ST65",
        ) from None
