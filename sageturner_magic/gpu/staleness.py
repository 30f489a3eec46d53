"""Whether the tables in `facts` are still true: `python -m sageturner_magic.gpu.staleness`.

Compares them with botocore's service model and, unless `--offline` is given, with the newest
versions on the package index that uv or pip is configured for. Exit code 1 when something in the
tables is out of date, 0 otherwise; an index that does not answer is said and is no failure.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date

from sageturner_magic.aws.endpoints import inference_ami_versions
from sageturner_magic.errors import Finding
from sageturner_magic.gpu import catalogue, facts
from sageturner_magic.gpu.metadata import minor_version

OLD_AFTER_DAYS = 180
"""Days after which the tables are said to be old; AWS revises drivers about twice a year."""

_SOURCE = "sageturner_magic/gpu/facts.py"
_TIMEOUT_S = 60
_PYTHON = "3.13"


class IndexUnreachable(Exception):
    """The package index did not answer; the text says why."""


def age(today: date) -> list[Finding]:
    """A warning when the tables have not been looked at for long."""
    days = (today - facts.AS_OF).days
    if days <= OLD_AFTER_DAYS:
        return []
    what = f"The tables were last compared with their sources {days} days ago"
    return [_stale(what, f"AS_OF is {facts.AS_OF}", "compare them, and set AS_OF", "warning")]


def families(known_to_aws: Iterable[str]) -> list[Finding]:
    """Instance families with a GPU or another accelerator that one side does not have."""
    offered = set(known_to_aws)
    tabled = {*facts.FAMILIES, *facts.OTHER_ACCELERATORS}
    accelerated = {name for name in offered if re.match(r"(g|p|inf|trn|dl|vt)\d", name)}
    return [
        *(
            _stale(
                f"The instance family {name} is not in the tables",
                "an endpoint can have it",
                "add it to FAMILIES or OTHER_ACCELERATORS",
            )
            for name in sorted(accelerated - tabled)
        ),
        *(
            _stale(
                f"The instance family {name} is in the tables only",
                "botocore does not offer it for endpoints",
                "nothing, if it is to come or has been withdrawn",
                "note",
            )
            for name in sorted(tabled - offered)
        ),
    ]


def amis(known_to_aws: Iterable[str], documented: Mapping[str, facts.Ami]) -> list[Finding]:
    """AMIs that are missing, or whose driver is described otherwise."""
    tabled = {*facts.AMIS, *facts.OTHER_AMIS}
    return [
        *(
            _stale(f"{name} is not in the tables", "an endpoint can have it", "add it to AMIS")
            for name in sorted(set(known_to_aws) - tabled)
        ),
        *(
            _stale(f"{name} cannot be had any more", "botocore does not offer it", "remove it")
            for name in sorted(tabled - set(known_to_aws))
        ),
        *(
            _stale(
                f"{name} has another driver than the tables say",
                f"botocore documents {ami}, the tables have {facts.AMIS[name]}",
                "correct it in AMIS",
            )
            for name, ami in documented.items()
            if name in facts.AMIS and ami != facts.AMIS[name]
        ),
    ]


def versions(newest: Callable[[str], str]) -> list[Finding]:
    """Frameworks with a newer minor version than the tables were checked with.

    `newest` gives the newest version of a package. Raises IndexUnreachable if it does.
    """
    found = []
    for name, known in facts.NEWEST.items():
        version = newest(name)
        if minor_version(version) > minor_version(known):
            found.append(
                _stale(
                    f"{name} {version} is newer than the tables, which know {known}",
                    "what its wheels need may have changed",
                    "check its wheels with tools/wheel_facts.py, and extend the tables",
                )
            )
    return found


def newest_on_index(name: str) -> str:
    """The newest version of a package, asked of uv, or of pip where there is no uv.

    Raises IndexUnreachable.
    """
    if uv := shutil.which("uv"):
        command = [uv, "pip", "compile", "--quiet", "--no-deps", "--no-header", "--no-annotate"]
        output = _run([*command, "--universal", "--python-version", _PYTHON, "-"], name)
        found = re.search(rf"^{re.escape(name)}==(\S+)", output, re.MULTILINE | re.IGNORECASE)
    else:
        pip = [sys.executable, "-m", "pip", "index", "versions"]
        output = _run([*pip, "--python-version", _PYTHON, name], "")
        found = re.search(r"\((\S+)\)", output)
    if found is None:
        raise IndexUnreachable(f"no version of {name} in the answer `{output.strip()[:200]}`")
    return found[1]


def _run(command: Sequence[str], text: str) -> str:
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise IndexUnreachable(f"{command[0]} failed: {last}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise IndexUnreachable(str(error)) from error
    return done.stdout


def _stale(what: str, why: str, do: str, severity: str = "error") -> Finding:
    if severity == "error":
        return Finding(what, why, do, _SOURCE, code="ST78")
    return Finding(
        what, why, do, _SOURCE, "warning" if severity == "warning" else "note", code="ST78"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is out of date; the exit code is 1 if anything is."""
    parser = argparse.ArgumentParser(
        prog="python -m sageturner_magic.gpu.staleness",
        description=(__doc__ or "").splitlines()[0],
    )
    parser.add_argument("--offline", action="store_true", help="leave the package index alone")
    offline = parser.parse_args(arguments).offline
    found = [
        *age(date.today()),
        *families(catalogue.families()),
        *amis(inference_ami_versions(), catalogue.documented_amis()),
    ]
    if not offline:
        try:
            found += versions(newest_on_index)
        except IndexUnreachable as error:
            print(f"The package index could not be asked, so versions are unchecked: {error}")
    for finding in found:
        print(f"{finding.severity}: {finding}")
    stale = [finding for finding in found if finding.severity == "error"]
    print(f"{len(stale)} out of date; the tables are of {facts.AS_OF}.")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
