"""Run programs for their output, and stop them when asked."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sageturner_magic.values import Reporter


@dataclass(frozen=True)
class Finished:
    """A program that has ended."""

    status: int
    output: str
    errors: str


def run(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path, reporter: Reporter
) -> Finished:
    """Run `command` in `folder` to its end, asking `reporter` often whether to stop.

    Raises what `reporter.checkpoint()` raises, after ending the program, and OSError if it
    cannot be started.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as program:
        try:
            while True:
                reporter.checkpoint()
                try:
                    output, errors = program.communicate(timeout=0.2)
                    return Finished(program.returncode, output, errors)
                except subprocess.TimeoutExpired:
                    continue
        except BaseException:
            program.kill()
            raise
