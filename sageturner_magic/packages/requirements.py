"""The exact packages of an image: one version, one file and its SHA-256 each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from sageturner_magic.constants import Architecture
from sageturner_magic.values import Credentials

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
