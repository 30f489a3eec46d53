"""Fetch what real wheels say of themselves: `wheel_facts.py FACTS.json NAME==VERSION@PYTHON ...`.

Each fact is a wheel's requirements and its size in bytes, read without the wheel itself (pip
asks the index for the metadata alone, by range requests where the index has no metadata files).
Facts that the file already has are kept; without wheels to fetch, every fact is fetched again.
Needs pip >= 24.1 in the Python that runs it; the index is the one that pip is configured for.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from datetime import date
from pathlib import Path
from typing import Any

PLATFORMS = tuple(
    f"manylinux{tag}_x86_64"
    for tag in ("1", "2014", "_2_17", "_2_18", "_2_24", "_2_27", "_2_28", "_2_31", "_2_34")
)


def fetch(wheel: str) -> dict[str, Any]:
    """The fact of one `NAME==VERSION@PYTHON`. Raises CalledProcessError when there is no wheel."""
    requirement, _, python = wheel.partition("@")
    command = [
        sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps",
        "--ignore-installed", "--use-feature=fast-deps", "--only-binary=:all:",
        "--python-version", python, "--report", "-",
        *(argument for platform in PLATFORMS for argument in ("--platform", platform)),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as nowhere:
        report = json.loads(
            subprocess.run(
                [*command, "--target", nowhere, requirement],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
        )
    (found,) = report["install"]
    head = urllib.request.Request(found["download_info"]["url"], method="HEAD")
    with urllib.request.urlopen(head, timeout=60) as answer:
        size = int(answer.headers["Content-Length"])
    return {
        "name": found["metadata"]["name"],
        "version": found["metadata"]["version"],
        "python": python,
        "size": size,
        "requires": found["metadata"].get("requires_dist", []),
    }


def _natural(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def main(path: Path, wheels: list[str]) -> int:
    facts = {}
    if path.exists():
        for fact in json.loads(path.read_text(encoding="utf-8"))["wheels"]:
            facts[f"{fact['name']}=={fact['version']}@{fact['python']}"] = fact
    failed = 0
    for wheel in wheels or list(facts):
        try:
            facts[wheel] = fetch(wheel)
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"{wheel}: {error}", file=sys.stderr)
            failed += 1
    ordered = sorted(facts.values(), key=lambda fact: (fact["name"], _natural(fact["version"])))
    lines = ",\n".join(json.dumps(fact) for fact in ordered)
    text = f'{{"as_of": "{date.today()}", "wheels": [\n{lines}\n]}}\n'
    path.write_text(text, encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
