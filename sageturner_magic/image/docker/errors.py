"""Translate errors of a Docker engine, with one table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sageturner_magic.errors import ImageError
from sageturner_magic.packages import without_credentials


@dataclass(frozen=True)
class _Problem:
    pattern: str
    what: str
    do: str


# The first match wins. The texts are those of apt, pip, the classic builder and registries.
PROBLEMS = (
    _Problem(
        r"exec format error|exec user process caused.*format",
        "this machine cannot run programs of the image's architecture",
        "install the emulation once (`docker run --privileged --rm tonistiigi/binfmt --install"
        " all`), or set `builder: layers`, which runs nothing",
    ),
    _Problem(
        r"no space left on device",
        "the Docker engine's disk is full",
        "free some of it (`docker system df`, `docker image prune`)",
    ),
    _Problem(
        r"toomanyrequests|Too Many Requests|rate limit",
        "the base image's registry throttles this network",
        "wait, log in to that registry, or name a base_image of public.ecr.aws",
    ),
    _Problem(
        r"E: Unable to locate package|E: Package '.*' has no installation candidate"
        r"|E: Couldn't find any package",
        "a system package does not exist in the base image's Debian release",
        "correct its name in system_packages (Debian's package search lists them)",
    ),
    _Problem(
        r"E: Version '.*' for '.*' was not found",
        "a system package has no such version in the base image's Debian release",
        "leave the version out of system_packages, or name one that exists",
    ),
    _Problem(
        r"python_version is .* the base image has",
        "the base image has another Python than the packages were resolved for",
        "set python_version to the base image's, or choose another base_image",
    ),
    _Problem(
        r"(?:apt-get|python|pip): (?:command )?not found|No module named pip"
        r"|executable file not found|No module named (?:venv|ensurepip)",
        "the base image does not have a program that the build needs",
        "choose a base_image of the Debian family with Python, pip and venv",
    ),
    _Problem(
        r"THESE PACKAGES DO NOT MATCH THE HASHES",
        "a package's file is not the one that was resolved",
        "run it again; if it stays so, the index or a proxy on the way changes files",
    ),
    _Problem(
        r"No matching distribution found|Could not find a version that satisfies",
        "pip, inside the build, does not find a package that was resolved outside it",
        "check that containers reach the package index: its URL, proxy and certificates",
    ),
    _Problem(
        r"CERTIFICATE_VERIFY_FAILED|certificate signed by unknown authority|x509:",
        "a certificate is not trusted, inside the build or by the Docker engine",
        "give the Docker engine or a base_image of your own your network's certificate authority",
    ),
    _Problem(
        r"error: command '.*(?:gcc|g\+\+|cc)' failed|gcc: not found|unable to execute 'gcc'"
        r"|Failed building wheel",
        "a package without a wheel does not compile",
        "add what it needs to system_packages (often build-essential), or choose a version that"
        " has a wheel",
    ),
    _Problem(
        r"Temporary failure (?:in name resolution|resolving)|Network is unreachable"
        r"|Connection timed out|i/o timeout|TLS handshake timeout|no such host"
        r"|Failed to fetch|Could not connect|connection refused|NewConnectionError",
        "the network cannot be reached, inside the build or by the Docker engine",
        "check the network, DNS and proxy settings of the Docker engine, then run it again",
    ),
    _Problem(
        r"authorization token has expired|no basic auth credentials|unauthorized"
        r"|authentication required|denied:",
        "the registry refuses the credentials",
        "check that they may push to this repository (`sageturner doctor` shows what is missing)",
    ),
    _Problem(
        r"tag.*cannot be overwritten because the tag is immutable|ImageTagAlreadyExists",
        "the repository has another image under this tag",
        "run it again: what is there is used, and a change of the inputs gives a new tag",
    ),
    _Problem(
        r"name unknown|repository.*does not exist|RepositoryNotFound",
        "the repository does not exist in the registry",
        "run `sageturner setup`, or correct overrides.repository_name",
    ),
    _Problem(
        r"manifest (?:for .* )?(?:not found|unknown)|pull access denied|no match for platform"
        r"|no matching manifest",
        "the base image does not exist for this platform",
        "correct base_image and python_version",
    ),
)


_COMMAND = re.compile(r"Step \d+/\d+ : |The command '.*' returned a non-zero code", re.DOTALL)


def explain(action: str, complaint: str, log: Sequence[str] = ()) -> ImageError:
    """The error for the engine's `complaint` while it did `action` ("the build").

    `log` is what was printed before, of the step that failed.
    """
    complaint = without_credentials(complaint.strip())
    lines = [without_credentials(line) for line in log]
    # The engine repeats the command, whose text is not a complaint.
    said = [line for line in (*lines, complaint) if not _COMMAND.match(line)]
    for problem in PROBLEMS:
        for line in said:
            if re.search(problem.pattern, line, re.IGNORECASE):
                return ImageError(
                    f"{action} failed: {problem.what}",
                    why=line.strip(),
                    do=problem.do,
                    details="\n".join(lines[-30:]),
                    code="ST67",
                )
    return ImageError(
        f"{action} failed",
        why=complaint,
        do="see the log below" if lines else "run it again",
        details="\n".join(lines[-30:]),
        code="ST67",
    )


def is_expired(complaint: str) -> bool:
    """Whether a registry says that new credentials would help."""
    return bool(
        re.search(
            r"token has expired|no basic auth credentials|unauthorized|authentication required"
            # ECR's 403 to a HEAD request, which has no body to say why.
            r"|error parsing HTTP 403 response body: unexpected end",
            complaint,
            re.IGNORECASE,
        )
    )


def is_lost_parent(complaint: str) -> bool:
    """Whether an image of the build cache was removed while the build went on from it."""
    return bool(
        re.search(
            r"unknown parent image ID|failed to get digest sha256:.*no such file"
            r"|No such image: sha256:",
            complaint,
        )
    )


def is_passing(complaint: str) -> bool:
    """Whether trying again may help: the network, or the registry's own trouble."""
    return bool(
        re.search(
            r"timeout|timed out|connection reset|broken pipe|\bEOF\b|refused"
            r"|50[0234] |received unexpected HTTP status: 5|toomanyrequests|Too Many Requests"
            r"|HTTP 429 ",
            complaint,
            re.IGNORECASE,
        )
    )
