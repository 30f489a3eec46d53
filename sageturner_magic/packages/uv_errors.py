"""Translate uv's errors, with a remedy for each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sageturner_magic.errors import Finding
from sageturner_magic.packages.urls import without_credentials


@dataclass(frozen=True)
class _Cause:
    pattern: str
    what: str
    do: str


# The first that matches wins; the order is from the particular to the general.
CAUSES = (
    _Cause(
        r"401 Unauthorized|403 Forbidden|lack of valid authentication",
        "a package index refuses the credentials",
        "put a user and token in the index's URL (`https://USER:${TOKEN}@…`) or in ~/.netrc",
    ),
    _Cause(
        r"invalid peer certificate|UnknownIssuer|certificate verify",
        "a package index's certificate is not trusted here",
        "set SSL_CERT_FILE to a bundle that holds your network's certificate authority",
    ),
    _Cause(
        r"error sending request|dns error|timed out|Connection refused|connection reset",
        "a package index or a package's URL cannot be reached",
        "check the URL, the network and the proxy (HTTPS_PROXY), then run it again",
    ),
    _Cause(
        r"does not satisfy Python|requires? (?:a different )?Python|Requires-Python",
        "a package does not support this Python version",
        "set python_version to one that all packages support, or choose another version of it",
    ),
    _Cause(
        r"no wheels with a matching|has no usable wheels|are not compatible with the target",
        "a package has no wheel for the image's platform and Python",
        "choose another version of it or another python_version",
    ),
    _Cause(
        r"Failed to build|Build backend failed|Failed to prepare|build_wheel|prepare_metadata",
        "a package without a wheel cannot be built from its source",
        "choose a version that has a wheel, or another python_version",
    ),
    _Cause(
        r"was not found in the (?:package registry|provided package locations)",
        "a package is on none of the indexes",
        "correct its name, or add the index that has it (`--extra-index-url URL`)",
    ),
    _Cause(
        r"there is no version of|there are no versions of",
        "a package has no such version",
        "ask for a version that exists, or add the index that has it (`--extra-index-url URL`)",
    ),
    _Cause(
        r"No solution found|unsatisfiable",
        "the packages contradict each other",
        "loosen or remove one of the versions that you list",
    ),
)


_MISSING = re.compile(r"(\S+) was not found in the (?:package registry|provided package locations)")


def missing_package(errors: str) -> str:
    """The package that uv found on no index, or an empty string."""
    match = _MISSING.search(errors)
    return match[1] if match else ""


def explain(errors: str, refusing: Sequence[str] = ()) -> Finding:
    """The finding for what uv printed when it found no answer.

    `refusing` are indexes that answer 401 or 403, which uv takes for not having a package.
    """
    text = without_credentials(errors)
    if refusing:
        known = CAUSES[0]
        return Finding(
            known.what,
            why=f"{missing_package(text)} was not found, and {', '.join(refusing)} lets nobody in",
            do=known.do,
            details=text.strip(),
            code="ST61",
        )
    cause = next(
        (known for known in CAUSES if re.search(known.pattern, text, re.IGNORECASE)),
        _Cause("", "the packages cannot be resolved", "see the resolver's words below"),
    )
    return Finding(cause.what, why=_reason(text), do=cause.do, details=text.strip(), code="ST61")


def _reason(text: str) -> str:
    """The resolver's own sentence, in one line and without its preamble."""
    lines = [line for line in text.splitlines() if not line.startswith("warning:")]
    reasons = [line.split("cause:", 1)[1] for line in lines if line.lstrip().startswith("cause:")]
    if "No solution found" in text and reasons:
        start = next(n for n, line in enumerate(lines) if line.lstrip().startswith("cause:"))
        end = next((n for n, line in enumerate(lines) if n > start and not line.strip()), None)
        sentence = " ".join(" ".join(lines[start:end]).split()).removeprefix("cause:").strip()
        return re.sub(
            r",? we can conclude that your requirements are unsatisfiable\.?$", "", sentence
        )
    if reasons:
        return reasons[0].strip()
    return next((line.removeprefix("error:").strip() for line in lines if line.strip()), "")
