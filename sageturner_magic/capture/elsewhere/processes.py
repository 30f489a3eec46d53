"""Run constants in fresh processes with other seeds of Python's hashes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from sageturner_magic.capture.environment import environment_at_start

_SEEDS = ("1", "2", "3", "4")
"""Values of PYTHONHASHSEED: two elements come in the same order in each with 1 in 16 chances."""

_LIMIT_S = 20.0
"""After this the constants are left to the trial, which imports the module with a limit too."""


def values_elsewhere(
    pieces: Sequence[tuple[str, Sequence[str]]], names: Iterable[str], *, hashes: bool
) -> Mapping[str, frozenset[str]]:
    """What each of `names` is after `pieces` have run, as `described` says it, in each process.

    Without the kernel's memory, library settings and the environment that cells have set. A name
    that a process could not make or describe is left out.

    Args:
        pieces: Statements, each with the names that it binds.
        hashes: Whether the order of a set may matter: then several processes run.
    """
    job = {"path": sys.path, "pieces": list(pieces), "names": sorted(names)}
    return _values(json.dumps(job), _SEEDS if hashes else _SEEDS[:1])


@lru_cache(maxsize=256)
def _values(job: str, seeds: Sequence[str]) -> Mapping[str, frozenset[str]]:
    with ThreadPoolExecutor(len(seeds)) as pool:
        answers = list(pool.map(lambda seed: _run(job, seed), seeds))
    names = frozenset.intersection(*(frozenset(answer) for answer in answers))
    found = {name: {answer[name] for answer in answers} for name in names}
    return {name: frozenset(filter(None, each)) for name, each in found.items() if None not in each}


def _run(job: str, seed: str) -> dict[str, str | None]:
    script = Path(__file__).with_name("described.py")
    environment = {**environment_at_start(os.environ), "PYTHONHASHSEED": seed}
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        done = subprocess.run(
            # Its path is that of this process: no need to read the site's configuration again.
            [sys.executable, "-S", str(script)],
            input=job.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=_LIMIT_S,
            check=True,
        )
        answer: dict[str, str | None] = json.loads(done.stdout)
        return answer
    return {}
