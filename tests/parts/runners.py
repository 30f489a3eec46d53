"""What runs a notebook without a person: nbclient, papermill and `jupyter execute`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

PROGRAM = [sys.executable, str(Path(__file__).with_name("jupyter_program.py"))]
"""The command that runs a program of Jupyter, whose name and arguments follow."""

RUNNERS: dict[str, Callable[[str, str, str], list[str]]] = {
    "nbclient": lambda given, made, kernel: [*PROGRAM, "nbclient", given, made, kernel],
    "papermill": lambda given, made, kernel: [
        *(*PROGRAM, "papermill", given, made),
        *("--kernel", kernel, "--no-progress-bar"),
    ],
    "jupyter-execute": lambda given, made, kernel: [
        *(*PROGRAM, "jupyter-execute", given, f"--output={made}"),
        f"--kernel_name={kernel}",
    ],
}
"""Runner -> its command for a notebook, the notebook that it makes, and a kernel's name."""


def run(
    runner: str,
    given: Path,
    made: Path,
    *,
    kernel: str = "python3",
    environment: Mapping[str, str] | None = None,
    seconds: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run `given` in the folder that `made` is in; it ends with 0 when no cell failed."""
    return subprocess.run(
        RUNNERS[runner](str(given), str(made), kernel),
        cwd=made.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
